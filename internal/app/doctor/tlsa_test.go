package doctor

import (
	"context"
	"strings"
	"testing"

	"facteur/internal/app/records"
	"facteur/internal/test/sim"
)

// TLSA records are compared with the certificate that the door shows (AUT-025).
func TestTLSA(t *testing.T) {
	t.Parallel()
	w := town(t, good)
	own := strings.TrimPrefix(records.House{Hostname: "mail.example.org", Certificates: leaves(w.Certificates)}.TLSA()[0].Value, "3 1 1 ")
	other := strings.Repeat("0f", 32)
	for name, c := range map[string]struct {
		tlsa  []string
		level Level
		what  string
	}{
		"none":                       {nil, Note, "has no TLSA record, and its zone is signed"},
		"ours":                       {[]string{"3 1 1 " + own}, OK, "is for the certificate of this server"},
		"ours and the next":          {[]string{"3 1 1 " + own, "3 1 1 " + other}, OK, "is for the certificate of this server"},
		"of another key":             {[]string{"3 1 1 " + other}, Failure, "No TLSA record of mail.example.org"},
		"AUT-025 usage 0":            {[]string{"0 1 1 " + own}, Warning, "of no use for mail (usage 0"},
		"AUT-025 usage 255":          {[]string{"255 1 1 " + own, "3 1 1 " + own}, Warning, "usage 255"},
		"AUT-025 one byte of digest": {[]string{"3 1 1 00"}, Failure, "No TLSA record"},
	} {
		t.Run(name, func(t *testing.T) {
			zone := good
			for _, value := range c.tlsa {
				zone += "\n_25._tcp.mail.example.org. TLSA " + value
			}
			d, err := sim.NewDNS(zone)
			if err != nil {
				t.Fatal(err)
			}
			d.Validate(true)
			if w.Resolver, err = d.Resolver(); err != nil {
				t.Fatal(err)
			}
			r := &report{}
			checkTLSA(context.Background(), w, r)
			for _, f := range r.list {
				if f.Level == c.level && strings.Contains(f.What, c.what) {
					return
				}
			}
			t.Errorf("no %s with %q in %+v", c.level, c.what, r.list)
		})
	}
}
