package password

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"facteur/internal/test/doubling"
)

const secret = "sécret 1"

// What libxcrypt 4.4 (perl's crypt) and Dovecot 2.3.19 (doveadm pw) make of the secret.
var stored = map[string]string{
	"$y$j9T$F5Jx5fExrKuPp53xLKQ..1$LyUgFPwiq4Yu935j63P61fsv5C7KrHYHe/Tdp5KVVu5":                                                              "YESCRYPT",
	"$y$j75$abcdefgh$4Sy5bmaGP42EGNl6zcG2p1QJHz6MzHG/8f58CDYbFr6":                                                                            "YESCRYPT",
	"$7$CU..../....2Q9obwLhin8qvQl6sisAO/$Ud8add5FIm.PuBT0KYCMsi0LxiBNo29VmpFShzwC/tB":                                                       "SCRYPT",
	"$sha1$40000$jtNX3nZ2$g2ArIexoJi8GeQgUV.cvBZ37QrJ.":                                                                                      "SHA1-CRYPT",
	"$5$rounds=1400$anotherlongsalts$TBY7vXVMvydIyTB9gXOnCd.4zr.dQjyPpDtxdKkgeYB":                                                            "SHA256-CRYPT",
	"$6$saltstring$REKT2l5jpP6DwhYnQNS7m7XnxVWpq3GjhPPaEVFr9CzyWIGDmvxB.pI4ISrfNE6.pvrkke218/e8VOJaPjCTc/":                                   "SHA512-CRYPT",
	"$1$abcdefgh$.pUq7D2b/morRHJWlFMKz/":                                                                                                     "MD5-CRYPT",
	"$2b$05$abcdefghijklmnopqrstuuti5hOTun1BPlrbM4ouXmh0/dV8x1PVG":                                                                           "BLF-CRYPT",
	"{CRYPT}$1$abcdefgh$.pUq7D2b/morRHJWlFMKz/":                                                                                              "MD5-CRYPT",
	"{SHA1}8UD9IbKwSVQa43L8o9BuL4/fMdA=":                                                                                                     "SHA1",
	"{SSHA512}Rsd6eZOHwaaUuKCprRbjbqcVa3UwOKXu6xS5KcVFeLXZJBgT/S/NgicyADRGFZD7+YSER95x0CwtxWU+LsKu8vyAgW4=":                                  "SSHA512",
	"{SCRAM-SHA-256}4096,64Ya34ahV3CwwvlfqSr2nA==,VR0WNHLVJxPh1HeoSYFRID2BPzTQFXbcMgiaBpP2bZU=,nlJ0c7Esqm5JQ02m5q1TWJ3imehqicOKHIZU1LT+FI8=": "SCRAM-SHA-256",
	"{SCRAM-SHA-1}4096,Jqxrw6E7mPw7So0eZ7XP1A==,sviTIz27yIZZTGqB94fbcvc42Vo=,0eL4DUb/Gwoh9S6qmUx8mOB5akU=":                                   "SCRAM-SHA-1",
	"{HMAC-MD5}dc9902eb4484390511fc1755eb07ce73cdd357f7593885cac17be244d50cd12d":                                                             "HMAC-MD5",
	"{PLAIN}" + secret:                                                                                            "PLAIN",
	"{PLAIN.B64}c8OpY3JldCAx":                                                                                     "PLAIN",
	"{ssha}tLYFectZxoRSFco7DS2qk9+GUanMju0T":                                                                      "SSHA",
	"{SSHA.HEX}e4512e967c5fbf421a578a16f5b81942bf7988037239ff4f":                                                  "SSHA",
	"{SHA256.HEX}71060bd397510f5ef536e767e90c56f87842b6eb7b9ca3baf5ea8c7c9017e1f5":                                "SHA256",
	"{SHA256}71060bd397510f5ef536e767e90c56f87842b6eb7b9ca3baf5ea8c7c9017e1f5":                                    "SHA256",
	"{PLAIN-MD5}a312811e774b2a7f748c3eac0c884f6a":                                                                 "PLAIN-MD5",
	"{LDAP-MD5}oxKBHndLKn90jD6sDIhPag==":                                                                          "LDAP-MD5",
	"{SMD5}ut3n6nnIBnhBecZVYEhCPzoXkvM=":                                                                          "SMD5",
	"{PBKDF2}$1$X1htg3HMq.PI4LIY$5000$7e41ba7a2e831d1e577b3b9293ca43e2aea1d81e":                                   "PBKDF2",
	"{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$pvMWFTq5XdbPA1AMAv1rIA$z98UgotbuuWlx4SSCK6Wgvcd+uZKC8Tg/XiA3tQcrpE": "ARGON2ID",
	"$argon2i$v=19$m=32768,t=4,p=1$S3lEVVpnkyDj5hV8YmAXkA$oZyZEcLG9Wj1x+BO5knwQwJe28csFZct2BCEY7sL+34":            "ARGON2I",
	"{MD5-CRYPT.B64}JDEkNzI1dmJvSmskRlVGZ2tEbms1MmFxbjdNNUNheS40Lg==":                                             "MD5-CRYPT",
}

// Row 70: whatever others kept opens the door to who knows it, and to nobody else.
func TestMatches(t *testing.T) {
	for text, scheme := range stored {
		s, err := Parse(text, "")
		if err != nil || s.Scheme() != scheme {
			t.Errorf("%s: %v %v", text, s, err)
			continue
		}
		if !s.Matches(secret) {
			t.Errorf("%s: the right password does not fit", text)
		}
		for _, wrong := range []string{"", "sécret 2", secret + "\x00"} {
			if s.Matches(wrong) {
				t.Errorf("%s: %q fits", text, wrong)
			}
		}
	}
}

func TestDefaultScheme(t *testing.T) {
	if s, err := Parse("hallo", "PLAIN"); err != nil || !s.Matches("hallo") || s.Weak() == "" {
		t.Error(s, err)
	}
	if _, err := Parse("hallo", ""); !errors.Is(err, ErrScheme) {
		t.Error(err)
	}
	if _, err := Parse("", "PLAIN"); !errors.Is(err, ErrMalformed) {
		t.Error("an empty password is one: ", err)
	}
	if (Stored{}).Matches("") {
		t.Error("nothing fits nothing")
	}
}

func TestRefused(t *testing.T) {
	salt := "$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for text, want := range map[string]error{
		"$argon2id$v=19$m=2097152,t=1,p=1" + salt:                        ErrCostly,
		"$argon2id$v=19$m=65536,t=4294967295,p=1" + salt:                 ErrCostly,
		"$argon2id$v=19$m=65536,t=3,p=64" + salt:                         ErrCostly,
		"$argon2id$v=19$m=4,t=3,p=1" + salt:                              ErrMalformed,
		"$argon2id$v=19$m=65536,t=0,p=1" + salt:                          ErrMalformed,
		"$argon2id$m=65536,t=3,p=1" + salt:                               ErrMalformed,
		"$6$rounds=2147483648$salt$" + strings.Repeat("a", 86):           ErrCostly,
		"$6$rounds=99999999999999999999999$s$" + strings.Repeat("a", 86): ErrCostly,
		"$6$rounds=-1$salt$" + strings.Repeat("a", 86):                   ErrMalformed,
		"$6$salt$short":                                                                          ErrMalformed,
		"$2y$31$" + strings.Repeat("a", 53):                                                      ErrCostly,
		"$2y$99$" + strings.Repeat("a", 53):                                                      ErrCostly,
		"$2y$05$" + strings.Repeat("a", 52):                                                      ErrMalformed,
		"$y$jzz$salt$" + strings.Repeat("a", 43):                                                 ErrCostly,
		"$y$jF/$salt$" + strings.Repeat("a", 12):                                                 ErrMalformed,
		"$7$zzzzzzzzzzz$" + strings.Repeat("a", 43):                                              ErrCostly,
		"$7$S/....z....salt$" + strings.Repeat("a", 43):                                          ErrCostly,
		"{PBKDF2}$1$salt$2147483648$7e41ba7a2e831d1e577b3b9293ca43e2aea1d81e":                    ErrCostly,
		"{SCRAM-SHA-1}2147483648,Jqxr,sviTIz27yIZZTGqB94fbcvc42Vo=,0eL4DUb/Gwoh9S6qmUx8mOB5akU=": ErrCostly,
		"$sha1$4294967295$salt$AAAAAAAAAAAAAAAAAAAAAAAAAAAA":                                     ErrCostly,
		"{SHA}AAAA":                ErrMalformed,
		"{SSHA}AAAA":               ErrMalformed,
		"{SHA}!":                   ErrMalformed,
		"{SHA.rot13}abc":           ErrScheme,
		"{OTP}x":                   ErrScheme,
		"{DES-CRYPT}ndkvaTNLkNYeI": ErrScheme,
		"{CRYPT}ndkvaTNLkNYeI":     ErrScheme,
		"{BLF-CRYPT}$1$abcdefgh$.pUq7D2b/morRHJWlFMKz/": ErrMalformed,
		"*":                         ErrScheme,
		"!":                         ErrScheme,
		"$":                         ErrScheme,
		"$$":                        ErrScheme,
		strings.Repeat("$6$", 2000): ErrMalformed,
	} {
		if _, err := Parse(text, ""); !errors.Is(err, want) {
			t.Errorf("%.60s: %v, expected %v", text, err, want)
		}
	}
}

// MAP-010: what is stored is in no error and is not printed.
func TestNothingShown(t *testing.T) {
	const canary = "kanarienvogel"
	for _, text := range []string{"{SHA}" + canary, "$6$" + canary, "{PLAIN}" + canary, "{CRYPT}" + canary, "$argon2id$" + canary, canary, "$2y$05$" + canary} {
		s, err := Parse(text, "")
		if shown := fmt.Sprintf("%v %+v %#v %s %v", s, s, s, s, err); strings.Contains(shown, canary) {
			t.Errorf("%s: %s", text, shown)
		}
	}
}

func TestWeak(t *testing.T) {
	for text, weak := range map[string]bool{
		"{PLAIN}x":                                                     true,
		"{SHA1}8UD9IbKwSVQa43L8o9BuL4/fMdA=":                           true,
		"{SSHA}tLYFectZxoRSFco7DS2qk9+GUanMju0T":                       true,
		"$1$abcdefgh$.pUq7D2b/morRHJWlFMKz/":                           true,
		"$2b$05$abcdefghijklmnopqrstuuti5hOTun1BPlrbM4ouXmh0/dV8x1PVG": true,
		"$2b$12$abcdefghijklmnopqrstuuti5hOTun1BPlrbM4ouXmh0/dV8x1PVG": false,
		"$y$j75$abcdefgh$4Sy5bmaGP42EGNl6zcG2p1QJHz6MzHG/8f58CDYbFr6":  false,
	} {
		if s, err := Parse(text, ""); err != nil || (s.Weak() != "") != weak {
			t.Errorf("%s: %q %v", text, s.Weak(), err)
		}
	}
}

// What Parse lets pass is checked in a bounded time, whatever somebody wrote.
func FuzzParse(f *testing.F) {
	for text := range stored {
		f.Add(text)
	}
	f.Add("$6$rounds=999999$salt$")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text, "")
		if err != nil {
			return
		}
		begun := time.Now()
		s.Matches(secret)
		if took := time.Since(begun); took > time.Minute {
			t.Errorf("%q took %v", text, took)
		}
	})
}

func TestLinear(t *testing.T) {
	doubling.Check(t, "a long stored text", 1<<10, func(n int) func() {
		text := "{PLAIN.hex}" + strings.Repeat("61", min(n, maxStored/2-8))
		return func() {
			for range 100 {
				Parse(text, "") //nolint:errcheck // the time counts
			}
		}
	})
}
