package interop

import (
	"regexp"
	"strings"
	"testing"
)

// Rows 159 and 161: a real Postfix that has to come again does so by itself and gets
// through; what it sends after that does not wait.
func TestGreylistedPostfix(t *testing.T) {
	t.Parallel()
	f := NewFacteur(t, Setup{Accounts: []string{alice}, Trusted: "192.0.2.0/24", Config: `
[greylist]
from = 0
shortest = "1s"
longest = "1s"
networks = []
`})
	f.Start()
	host, port, _ := strings.Cut(f.Addr("smtp"), ":")
	sender := NewPostfix(t, PostfixSetup{Main: map[string]string{"relayhost": "[" + host + "]:" + port}})
	sender.Start()
	send := func(id string) string {
		sender.Sendmail("bob@example.net", []string{alice}, strings.ReplaceAll(difficult(id), "\r\n", "\n"))
		return string(WaitLetter(t, f.Addr("imap"), alice, "id "+id))
	}
	first, second := send("first"), send("second")
	if !regexp.MustCompile(`\nX-Greylist: delayed [0-9]+ seconds by greylisting at mail\.example\.org; `).MatchString(first) || strings.Contains(second, "X-Greylist") {
		t.Errorf("the first letter:\n%.1500s\nthe second:\n%.1500s", first, second)
	}
	if n := strings.Count(sender.Log(), "status=deferred"); n == 0 || n != strings.Count(sender.Log(), "4.7.1 Greylisted: come again in 1 seconds. Nothing is refused") {
		t.Errorf("Postfix was put off %d times:\n%s", n, sender.Log())
	}
}
