package milter

import "strings"

// stage is when macros are sent; the numbers are the protocol's (SMFIM_*).
type stage uint32

const (
	atConnect stage = iota
	atHelo
	atMail
	atRcpt
	atData
	atEOM
	atEOH

	stages = iota
)

// usual are the macros of each stage, unless the milter asked for others. They
// are Postfix's, and Sendmail's of the client and the interface.
var usual = [stages][]string{
	atConnect: {"j", "{daemon_name}", "{daemon_addr}", "{daemon_port}", "v", "_", "{client_addr}", "{client_name}", "{client_port}",
		"{client_ptr}", "{client_resolve}", "{if_addr}", "{if_name}"},
	atHelo: {"{tls_version}", "{cipher}", "{cipher_bits}", "{cert_subject}", "{cert_issuer}"},
	atMail: {"i", "{auth_type}", "{auth_authen}", "{auth_author}", "{auth_ssf}", "{mail_addr}", "{mail_host}", "{mail_mailer}"},
	atRcpt: {"i", "{rcpt_addr}", "{rcpt_host}", "{rcpt_mailer}"},
	atData: {"i"},
	atEOH:  {"i"},
	atEOM:  {"i"},
}

// Macros gives the value of a macro by its name as Sendmail writes it, "j" or
// "{client_addr}"; "" when it has none.
type Macros func(name string) string

// macroData is the data of a MACRO packet before the command cmd; nil when there
// is nothing to tell.
func macroData(cmd byte, names []string, m Macros) []byte {
	if m == nil {
		return nil
	}
	b := []byte{cmd}
	for _, name := range names {
		value := m(name)
		if value == "" {
			continue
		}
		b = append(append(b, name...), 0)
		b = append(append(b, strings.Map(onOneLine, value)...), 0)
	}
	if len(b) == 1 {
		return nil
	}
	return b
}

// onOneLine makes harmless what ends a string or a line. Macros are hearsay about
// the dialogue; what matters in it is in the commands, which are refused instead.
func onOneLine(r rune) rune {
	if r < ' ' || r == 0x7f {
		return '?'
	}
	return r
}
