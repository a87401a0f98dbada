package smtp

import (
	"strconv"
	"strings"
	"time"
)

// Extensions is what a server offered in its reply to EHLO.
type Extensions struct {
	// Host is the name that the server gave itself, as it was sent.
	Host string
	// SizeOffered tells the SIZE extension (RFC 1870); Size is the limit in
	// octets, 0 when there is none.
	SizeOffered bool
	Size        int64

	StartTLS     bool // RFC 3207
	Pipelining   bool // RFC 2920
	EightBitMIME bool // RFC 6152
	UTF8         bool // SMTPUTF8, RFC 6531
	Enhanced     bool // ENHANCEDSTATUSCODES, RFC 2034
	DSN          bool // RFC 3461
	Chunking     bool // RFC 3030
	BinaryMIME   bool // RFC 3030
	RequireTLS   bool // RFC 8689
	Priority     bool // MT-PRIORITY, RFC 6710
	// DeliverBy tells the extension of RFC 2852; DeliverByMin is the least time in
	// which the server takes on a delivery, 0 when there is none.
	DeliverBy    bool
	DeliverByMin time.Duration
	// Auth is the SASL mechanisms, in upper case (RFC 4954).
	Auth []string
}

// maxMechanisms bounds Extensions.Auth.
const maxMechanisms = 32

// ParseEHLO reads the reply to EHLO (RFC 5321 §4.1.1.1). What it does not
// understand it leaves out; it can not fail.
func ParseEHLO(r *Reply) (x Extensions) {
	for i, line := range r.Lines {
		if i == 0 {
			x.Host, _, _ = strings.Cut(line, " ")
			continue
		}
		// "AUTH=LOGIN" is how servers wrote it for clients of the last century.
		keyword, params, _ := strings.Cut(line, " ")
		if eq := strings.IndexByte(keyword, '='); eq >= 0 {
			keyword, params = keyword[:eq], keyword[eq+1:]+" "+params
		}
		x.set(strings.ToUpper(keyword), params)
	}
	return x
}

func (x *Extensions) set(keyword, params string) {
	switch keyword {
	case "SIZE":
		x.SizeOffered = true
		x.Size = parseSize(params)
	case "STARTTLS":
		x.StartTLS = true
	case "PIPELINING":
		x.Pipelining = true
	case "8BITMIME":
		x.EightBitMIME = true
	case "SMTPUTF8":
		x.UTF8 = true
	case "ENHANCEDSTATUSCODES":
		x.Enhanced = true
	case "DSN":
		x.DSN = true
	case "CHUNKING":
		x.Chunking = true
	case "BINARYMIME":
		x.BinaryMIME = true
	case "MT-PRIORITY":
		x.Priority = true
	case "DELIVERBY":
		x.DeliverBy = true
		x.DeliverByMin = time.Duration(min(parseSize(params), maxBy)) * time.Second
	case "REQUIRETLS":
		x.RequireTLS = true
	case "AUTH":
		x.addMechanisms(params)
	}
}

// parseSize reads a limit; what is no number, or larger than any, is no limit.
func parseSize(s string) int64 {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 63)
	if err != nil {
		return 0
	}
	return int64(n)
}

func (x *Extensions) addMechanisms(params string) {
	for _, m := range strings.Fields(strings.ToUpper(params)) {
		if len(x.Auth) < maxMechanisms && !x.HasAuth(m) {
			x.Auth = append(x.Auth, m)
		}
	}
}

// HasAuth tells whether a mechanism (in upper case) was offered.
func (x *Extensions) HasAuth(mechanism string) bool {
	for _, m := range x.Auth {
		if m == mechanism {
			return true
		}
	}
	return false
}
