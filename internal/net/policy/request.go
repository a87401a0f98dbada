package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Stages at which a server may be asked: the values of protocol_state.
const (
	StateConnect = "CONNECT"
	StateHelo    = "HELO"
	StateMail    = "MAIL"
	StateRcpt    = "RCPT"
	StateData    = "DATA"
	StateEnd     = "END-OF-MESSAGE"
	StateVRFY    = "VRFY"
	StateETRN    = "ETRN"
)

// Version is whose attributes these are: the Postfix release whose servers
// understand them. Servers look at it to know what they may rely on.
const Version = "3.7.0"

// Request is what a server is told. What is not known stays empty, and is sent
// so: servers count on seeing every name.
type Request struct {
	State              string // one of the State constants
	Protocol           string // "SMTP" or "ESMTP"
	Helo               string
	QueueID            string // before the end of the message: the one it will have
	Sender, Recipient  string // without angle brackets; "" for <>
	RecipientCount     int    // only at DATA and END-OF-MESSAGE
	ClientAddr         netip.Addr
	ClientPort         uint16
	ClientName         string // verified, or "unknown"
	ReverseClientName  string // unverified
	ServerAddr         netip.Addr
	ServerPort         uint16
	Instance           string // the same for all requests about one message
	SASLMethod         string
	SASLUser           string
	SASLSender         string
	Size               int64 // bytes; as announced before END-OF-MESSAGE
	CertSubject        string
	CertIssuer         string
	CertFingerprint    string
	PubkeyFingerprint  string
	EncryptionProtocol string // "TLSv1.3"
	EncryptionCipher   string
	EncryptionKeysize  int // bits
	ETRNDomain         string
	Stress             bool
	Context            string // policy_context: which of several uses of one server
}

// ErrUnframeable says that a value can not be sent: the protocol's lines would
// end in it.
var ErrUnframeable = errors.New("value with a line end or NUL")

// append appends the request with its empty line.
func (q *Request) append(b []byte) ([]byte, error) {
	for _, a := range q.attributes() {
		if strings.ContainsAny(a.value, "\x00\r\n") {
			return nil, fmt.Errorf("%s: %w", a.name, ErrUnframeable)
		}
		b = append(append(append(append(b, a.name...), '='), a.value...), '\n')
	}
	return append(b, '\n'), nil
}

type attribute struct{ name, value string }

// attributes are all that Postfix sends, in its order.
func (q *Request) attributes() []attribute {
	return []attribute{
		{"request", "smtpd_access_policy"},
		{"protocol_state", q.State},
		{"protocol_name", q.Protocol},
		{"client_address", addr(q.ClientAddr)},
		{"client_name", q.ClientName},
		{"client_port", number(int64(q.ClientPort))},
		{"reverse_client_name", q.ReverseClientName},
		{"server_address", addr(q.ServerAddr)},
		{"server_port", number(int64(q.ServerPort))},
		{"helo_name", q.Helo},
		{"sender", q.Sender},
		{"recipient", q.Recipient},
		{"recipient_count", strconv.Itoa(q.RecipientCount)},
		{"queue_id", q.QueueID},
		{"instance", q.Instance},
		{"size", strconv.FormatInt(q.Size, 10)},
		{"etrn_domain", q.ETRNDomain},
		{"stress", yes(q.Stress)},
		{"sasl_method", q.SASLMethod},
		{"sasl_username", q.SASLUser},
		{"sasl_sender", q.SASLSender},
		{"ccert_subject", q.CertSubject},
		{"ccert_issuer", q.CertIssuer},
		{"ccert_fingerprint", q.CertFingerprint},
		{"ccert_pubkey_fingerprint", q.PubkeyFingerprint},
		{"encryption_protocol", q.EncryptionProtocol},
		{"encryption_cipher", q.EncryptionCipher},
		{"encryption_keysize", strconv.Itoa(q.EncryptionKeysize)},
		{"policy_context", q.Context},
		{"compatibility_level", "3.7"},
		{"mail_version", Version},
	}
}

// addr is an IP address without brackets or "IPv6:", as the protocol has it.
func addr(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.Unmap().WithZone("").String()
}

func number(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}
