package smtp

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Extensions is what a server offers in its reply to EHLO or LHLO: a client reads
// it with ParseEHLO, a server writes it with AppendTo and takes no parameter that
// is not in it.
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
	Chunking     bool // CHUNKING, RFC 3030 §2
	BinaryMIME   bool // RFC 3030 §3
	Burl         bool // BURL imap: URLs with rights of their own are taken (RFC 4468)
	RequireTLS   bool // RFC 8689
	Priority     bool // MT-PRIORITY, RFC 6710
	Bare         bool // not announced: addresses without a domain are taken
	ETRN         bool // RFC 1985
	// DeliverBy is RFC 2852; LeastBy the shortest time taken with "R", 0 when the
	// server does not say.
	DeliverBy bool
	LeastBy   time.Duration
	// FutureRelease is RFC 4865: the longest that a message is held back, and the
	// last date.
	FutureRelease bool
	MostHold      time.Duration
	LastHold      time.Time
	// Limits is LIMITS (RFC 9422).
	Limits Limits
	// Auth is the SASL mechanisms, in upper case (RFC 4954).
	Auth []string
	// Xclient and Xforward are the attributes that Postfix's XCLIENT and XFORWARD
	// take, in upper case.
	Xclient, Xforward []string
}

// Limits are the values of LIMITS (RFC 9422 §4); 0 where one is not given.
type Limits struct {
	Mails      int // MAILMAX: transactions in a session
	Recipients int // RCPTMAX: RCPT commands in a transaction
	Domains    int // RCPTDOMAINMAX: recipient domains in a session
}

// maxWords bounds the lists in Extensions.
const maxWords = 32

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
	case "DELIVERBY":
		x.DeliverBy = true
		x.LeastBy = parseSeconds(strings.TrimSpace(params))
	case "FUTURERELEASE":
		x.setFuture(strings.Fields(params))
	case "LIMITS":
		x.Limits = parseLimits(params)
	case "AUTH":
		x.Auth = addWords(x.Auth, params)
	case "XCLIENT":
		x.Xclient = addWords(x.Xclient, params)
	case "XFORWARD":
		x.Xforward = addWords(x.Xforward, params)
	default:
		if flag := x.flag(keyword); flag != nil {
			*flag = true
		}
	}
}

// flag is where a keyword without parameters is kept; nil for all others.
func (x *Extensions) flag(keyword string) *bool {
	switch keyword {
	case "STARTTLS":
		return &x.StartTLS
	case "PIPELINING":
		return &x.Pipelining
	case "8BITMIME":
		return &x.EightBitMIME
	case "SMTPUTF8":
		return &x.UTF8
	case "ENHANCEDSTATUSCODES":
		return &x.Enhanced
	case "DSN":
		return &x.DSN
	case "CHUNKING":
		return &x.Chunking
	case "BINARYMIME":
		return &x.BinaryMIME
	case "BURL":
		return &x.Burl
	case "REQUIRETLS":
		return &x.RequireTLS
	case "MT-PRIORITY":
		return &x.Priority
	case "ETRN":
		return &x.ETRN
	}
	return nil
}

// Withhold takes an extension back, by its keyword in upper case (Postfix's
// smtpd_discard_ehlo_keywords). What rests on it goes with it: there is no
// BINARYMIME without CHUNKING. It is false for a keyword that is not known.
func (x *Extensions) Withhold(keyword string) bool {
	if flag := x.flag(keyword); flag != nil {
		*flag = false
		x.BinaryMIME = x.BinaryMIME && x.Chunking
		x.Burl = x.Burl && x.Chunking
		return true
	}
	switch keyword {
	case "SIZE":
		x.SizeOffered, x.Size = false, 0
	case "DELIVERBY":
		x.DeliverBy, x.LeastBy = false, 0
	case "FUTURERELEASE":
		x.FutureRelease, x.MostHold, x.LastHold = false, 0, time.Time{}
	case "LIMITS":
		x.Limits = Limits{}
	case "AUTH":
		x.Auth = nil
	case "XCLIENT":
		x.Xclient = nil
	case "XFORWARD":
		x.Xforward = nil
	default:
		return false
	}
	return true
}

// parseSize reads a limit; what is no number, or larger than any, is no limit.
func parseSize(s string) int64 {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 63)
	if err != nil {
		return 0
	}
	return int64(n)
}

// parseSeconds reads 1*9DIGIT; anything else is 0.
func parseSeconds(s string) time.Duration {
	if !isDigits(s) || len(s) > 9 {
		return 0
	}
	n, _ := strconv.Atoi(s)
	return time.Duration(n) * time.Second
}

// setFuture reads "FUTURERELEASE interval date-time" (RFC 4865 §3).
func (x *Extensions) setFuture(params []string) {
	x.FutureRelease = true
	if len(params) > 0 {
		x.MostHold = parseSeconds(params[0])
	}
	if len(params) > 1 {
		x.LastHold, _ = parseTime(params[1])
	}
}

// parseLimits reads name=value pairs (RFC 9422 §4); a value is 1*6DIGIT and not 0.
func parseLimits(params string) (l Limits) {
	for _, param := range strings.Fields(params) {
		name, value, _ := strings.Cut(param, "=")
		if !isDigits(value) || len(value) > 6 {
			continue
		}
		n, _ := strconv.Atoi(value)
		switch strings.ToUpper(name) {
		case "MAILMAX":
			l.Mails = n
		case "RCPTMAX":
			l.Recipients = n
		case "RCPTDOMAINMAX":
			l.Domains = n
		}
	}
	return l
}

func addWords(list []string, params string) []string {
	for _, w := range strings.Fields(strings.ToUpper(params)) {
		if len(list) < maxWords && !slices.Contains(list, w) {
			list = append(list, w)
		}
	}
	return list
}

// HasAuth tells whether a mechanism (in upper case) was offered.
func (x *Extensions) HasAuth(mechanism string) bool { return slices.Contains(x.Auth, mechanism) }

// AppendTo appends the whole 250 reply to EHLO or LHLO, without an enhanced code,
// as RFC 2034 §4 wants it. The order is Postfix's, for those who compare.
func (x *Extensions) AppendTo(b []byte) []byte {
	w := ehloWriter{last: len(b)}
	w.b = appendText(append(b, "250-"...), x.Host)
	w.line(x.Pipelining, "PIPELINING")
	if x.SizeOffered {
		w.line(true, "SIZE")
		if x.Size > 0 {
			w.number(" ", x.Size)
		}
	}
	w.line(x.ETRN, "ETRN")
	w.line(x.StartTLS, "STARTTLS")
	w.words("AUTH", x.Auth)
	w.line(x.Enhanced, "ENHANCEDSTATUSCODES")
	w.line(x.EightBitMIME, "8BITMIME")
	w.line(x.DSN, "DSN")
	w.line(x.UTF8, "SMTPUTF8")
	w.line(x.Chunking, "CHUNKING")
	w.line(x.BinaryMIME, "BINARYMIME")
	w.line(x.Burl, "BURL imap")
	w.line(x.RequireTLS, "REQUIRETLS")
	w.line(x.Priority, "MT-PRIORITY")
	if x.DeliverBy {
		w.line(true, "DELIVERBY")
		if x.LeastBy > 0 {
			w.number(" ", int64(x.LeastBy/time.Second))
		}
	}
	if x.FutureRelease {
		w.line(true, "FUTURERELEASE")
		w.number(" ", int64(x.MostHold/time.Second))
		w.b = appendTime(append(w.b, ' '), x.LastHold)
	}
	if x.Limits != (Limits{}) {
		w.line(true, "LIMITS")
		w.limit(" RCPTMAX=", x.Limits.Recipients)
		w.limit(" MAILMAX=", x.Limits.Mails)
		w.limit(" RCPTDOMAINMAX=", x.Limits.Domains)
	}
	w.words("XCLIENT", x.Xclient)
	w.words("XFORWARD", x.Xforward)
	w.b[w.last+len("250")] = ' '
	return append(w.b, '\r', '\n')
}

// ehloWriter writes the lines of a reply; last is where in b the last one begins.
type ehloWriter struct {
	b    []byte
	last int
}

func (w *ehloWriter) line(offered bool, keyword string) {
	if offered {
		w.last = len(w.b) + len("\r\n")
		w.b = append(append(w.b, "\r\n250-"...), keyword...)
	}
}

func (w *ehloWriter) number(sep string, n int64) {
	w.b = strconv.AppendInt(append(w.b, sep...), n, 10)
}

func (w *ehloWriter) limit(name string, n int) {
	if n > 0 {
		w.number(name, int64(min(n, 999999)))
	}
}

func (w *ehloWriter) words(keyword string, list []string) {
	if len(list) == 0 {
		return
	}
	w.line(true, keyword)
	for _, word := range list {
		w.b = append(append(w.b, ' '), word...)
	}
}
