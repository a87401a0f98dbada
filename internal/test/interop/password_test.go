package interop

import (
	"strings"
	"testing"

	"facteur/internal/mail/password"
)

// Rows 70 and 75: what Dovecot makes of a password by each of its schemes is read here,
// and Dovecot agrees about what does not fit.
func TestDovecotSchemes(t *testing.T) {
	doveadm := Need(t, "doveadm")
	const secret = "tré s secret"
	for _, scheme := range []string{
		"PLAIN", "CLEAR", "CLEARTEXT", "CRYPT", "MD5-CRYPT", "MD5", "BLF-CRYPT", "SHA256-CRYPT", "SHA512-CRYPT",
		"ARGON2I", "ARGON2ID", "PBKDF2", "SCRAM-SHA-1", "SCRAM-SHA-256", "SHA", "SHA1", "SHA256", "SHA512",
		"SSHA", "SSHA256", "SSHA512", "PLAIN-MD5", "LDAP-MD5", "SMD5", "CRAM-MD5", "HMAC-MD5",
		"SHA256.hex", "SSHA.hex", "SSHA512.b64", "PLAIN.b64", "PLAIN.hex", "PLAIN-MD5.b64", "LDAP-MD5.hex",
		"SHA512-CRYPT.b64", "MD5-CRYPT.hex", "CRAM-MD5.b64", "SCRAM-SHA-256.b64",
	} {
		made := strings.TrimSuffix(Run(t, "", doveadm, "-c", "/dev/null", "pw", "-s", scheme, "-p", secret), "\n")
		s, err := password.Parse(made, "")
		if err != nil {
			t.Errorf("%s: %s: %v", scheme, made, err)
			continue
		}
		for _, p := range []string{secret, secret + "e"} {
			out, err := TryRun(t, "", doveadm, "-c", "/dev/null", "pw", "-t", made, "-p", p)
			if theirs := err == nil && strings.Contains(out, "(verified)"); s.Matches(p) != theirs || theirs != (p == secret) {
				t.Errorf("%s, password %q: Dovecot says %v, we say %v", made, p, theirs, s.Matches(p))
			}
		}
	}
}
