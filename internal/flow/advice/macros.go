package advice

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"fmt"
	"strconv"
	"strings"

	"facteur/internal/flow/intake"
	"facteur/internal/mail/address"
	"facteur/internal/net/milter"
)

// macros are what milters may want to know, by Sendmail's names.
func (a *milterTalk) macros(q *intake.Question) milter.Macros {
	return func(name string) string {
		switch name {
		case "j":
			return a.hook.cfg.Hostname
		case "v":
			return "facteur"
		case "i":
			if q.ID != 0 {
				return q.ID.String()
			}
		case "{daemon_name}":
			if q.Peer.Submission || q.Peer.User != nil {
				return "ORIGINATING" // by habit, how milters know mail that is to be signed
			}
			return a.hook.cfg.Hostname
		default:
			if v := clientMacro(name, q.Peer); v != "" {
				return v
			}
			return envelopeMacro(name, q)
		}
		return ""
	}
}

// clientMacro is a macro about the connection.
func clientMacro(name string, p *intake.Peer) string {
	switch name {
	case "_":
		return fmt.Sprintf("%s [%s]", p.Name, milterAddr(p))
	case "{client_addr}":
		return milterAddr(p)
	case "{client_name}", "{client_ptr}":
		return p.Name
	case "{client_resolve}":
		if p.Name == "unknown" {
			return "FAIL"
		}
		return "OK"
	case "{client_port}":
		return port(p.Port)
	case "{if_addr}", "{daemon_addr}":
		if a := p.Server.Addr(); a.IsValid() {
			return ipText(a)
		}
	case "{daemon_port}":
		return port(p.Server.Port())
	case "{auth_type}":
		return p.Mechanism
	case "{auth_authen}":
		return p.Account
	default:
		return tlsMacro(name, p.TLS)
	}
	return ""
}

// tlsMacro is a macro about the encryption.
func tlsMacro(name string, c *tls.ConnectionState) string {
	if c == nil {
		return ""
	}
	switch name {
	case "{tls_version}":
		return tlsVersion(c)
	case "{cipher}":
		return tls.CipherSuiteName(c.CipherSuite)
	case "{cipher_bits}":
		return strconv.Itoa(keyBits(c))
	case "{cert_subject}":
		if len(c.PeerCertificates) > 0 {
			return slashed(c.PeerCertificates[0].Subject)
		}
	case "{cert_issuer}":
		if len(c.PeerCertificates) > 0 {
			return slashed(c.PeerCertificates[0].Issuer)
		}
	}
	return ""
}

// tlsVersion is "TLSv1.3", as OpenSSL has it.
func tlsVersion(c *tls.ConnectionState) string {
	return strings.Replace(tls.VersionName(c.Version), "TLS ", "TLSv", 1)
}

// keyBits are those of the symmetric key.
func keyBits(c *tls.ConnectionState) int {
	name := tls.CipherSuiteName(c.CipherSuite)
	if strings.Contains(name, "256") && !strings.Contains(name, "128") || strings.Contains(name, "CHACHA20") {
		return 256
	}
	return 128
}

// slashed is a name as "/C=FR/CN=x".
func slashed(n pkix.Name) string {
	return "/" + strings.ReplaceAll(n.String(), ",", "/")
}

// envelopeMacro is a macro about sender and recipient.
func envelopeMacro(name string, q *intake.Question) string {
	switch {
	case q.Mail != nil && strings.HasPrefix(name, "{mail_"):
		return addressMacro(strings.TrimPrefix(name, "{mail_"), q.Mail.Sender)
	case q.Rcpt != nil && strings.HasPrefix(name, "{rcpt_"):
		return addressMacro(strings.TrimPrefix(name, "{rcpt_"), q.Rcpt.To)
	}
	return ""
}

func addressMacro(part string, a address.Address) string {
	switch part {
	case "addr}":
		return a.String()
	case "host}":
		return a.Domain
	case "mailer}":
		return "smtp"
	}
	return ""
}

func port(n uint16) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(int(n))
}
