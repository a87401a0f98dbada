package dmarc_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"facteur/internal/mail/dmarc"
)

// The record of the text, and odd ones (row 225).
func TestParse(t *testing.T) {
	t.Parallel()
	r, err := dmarc.Parse("v=DMARC1;p=reject;sp=none;rua=mailto:dmarc+aggr@example.com;ruf=mailto:dmarc+forensic@example.com;fo=1;adkim=s;aspf=s;pct=100")
	if err != nil || r.P != "reject" || r.SP != "none" || r.NP != "" || !r.StrictDKIM || !r.StrictSPF || r.Percent != 100 || r.Testing ||
		fmt.Sprint(r.FO, r.RUA, r.RUF) != "[1] [{dmarc+aggr@example.com 0}] [{dmarc+forensic@example.com 0}]" || len(r.Problems) != 1 || len(r.Tags) != 9 {
		t.Errorf("row 225: %+v, %v", r, err)
	}
	for _, c := range []struct {
		text     string
		policy   dmarc.Policy
		problems string // tags
		usable   bool
	}{
		{"v=DMARC1; p=none", "none", "", true},
		{"v=DMARC1; p=none;", "none", "", true},
		{"v = DMARC1 ;p = Reject ; ", "reject", "", true},
		{"v=DMARC1; P=none", "none", "", true},
		{"v=DMARC1", "", "p", false},
		{"v=DMARC1; rua=mailto:a@b.example", "", "p", true},
		{"v=DMARC1; p=non", "", "p", false},
		{"v=DMARC1; p=none; p=reject", "none", "p", true},
		{"v=DMARC1; p=none; sp=all", "none", "sp", false},
		{"v=DMARC1; p=none; adkim=x; aspf=strict; t=1; psd=z; fo=2", "none", "adkim aspf t psd fo", true},
		{"v=DMARC1; p=none; pct=50; rf=afrf; ri=86400", "none", "pct rf ri", true},
		{"v=DMARC1; p=none; pct=-1", "none", "pct", true},
		{"v=DMARC1; p=none; hello; =; x=1", "none", "  x", true},
		{"v=DMARC1; sp=reject; p=none", "none", "", true},
		{"v=DMARC1; p=none\x00; t=\xff", "", "p t", false},
	} {
		r, err := dmarc.Parse(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		var tags []string
		for _, p := range r.Problems {
			if p.Tag != "p" || p.Text != "is missing" || !strings.Contains(c.text, "p=") || c.problems != "" {
				tags = append(tags, p.Tag)
			}
		}
		if r.P != c.policy || r.Usable() != c.usable || !sameTags(tags, c.problems) {
			t.Errorf("%q: p=%q usable %v, problems %q", c.text, r.P, r.Usable(), tags)
		}
	}
	for _, bad := range []string{"", "v=DMARC1.0; p=none", "v=dmarc1; p=none", "V=DMARC1; p=none", "p=none; v=DMARC1", "v=DMARC12; p=none", "v=spf1 -all", "v=DMARC1 p=none", " x; v=DMARC1"} {
		if _, err := dmarc.Parse(bad); err != dmarc.ErrVersion {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := dmarc.Parse("v=DMARC1; p=none; x=" + strings.Repeat("x", 9000)); err != dmarc.ErrTooLong {
		t.Error(err)
	}
}

func sameTags(got []string, want string) bool {
	return strings.Join(strings.Fields(strings.Join(got, " ")), " ") == strings.Join(strings.Fields(want), " ")
}

func TestURIs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, address string
		max           int64
		err           error
	}{
		{"mailto:a@b.example", "a@b.example", 0, nil},
		{"MAILTO:a@B.Example", "a@b.example", 0, nil},
		{"mailto:a@b.example!10m", "a@b.example", 10 << 20, nil},
		{"mailto:a@b.example!50", "a@b.example", 50, nil},
		{"mailto:a%2Bx@b.example?subject=hello", "a+x@b.example", 0, nil},
		{"mailto:a%21b@b.example", "a!b@b.example", 0, nil},
		{"mailto:a@b.example!x", "", 0, dmarc.ErrSize},
		{"mailto:a@b.example!99999999999999999999t", "", 0, dmarc.ErrSize},
		{"mailto:a@b.example%0d%0aBcc:x@y.example", "", 0, dmarc.ErrAddress},
		{"mailto:a@b.example%3e,x@y.example", "", 0, dmarc.ErrAddress},
		{"mailto:", "", 0, dmarc.ErrAddress},
		{"a@b.example", "", 0, dmarc.ErrScheme},
		{"https://b.example/", "", 0, dmarc.ErrScheme},
		{"mailto:a@b.example" + strings.Repeat("x", 2000), "", 0, dmarc.ErrScheme},
	} {
		u, err := dmarc.ParseURI(c.text)
		if u.Address.String() != c.address || err != c.err || err == nil && u.Max != c.max {
			t.Errorf("AUT-018 %q: %v, %v", c.text, u, err)
		}
	}
	r, err := dmarc.Parse("v=DMARC1; p=none; rua=https://x.example/, mailto:victim@y.example!1k," + strings.Repeat("mailto:a@b.example,", 400))
	if err != nil || len(r.RUA) != dmarc.MaxURIs || r.RUA[0].Max != 1024 {
		t.Errorf("AUT-018 1000 addresses: %+v, %v", r, err)
	}
	if want := []string{"rua", "rua"}; len(r.Problems) != 2 || !reflect.DeepEqual([]string{r.Problems[0].Tag, r.Problems[1].Tag}, want) {
		t.Errorf("AUT-018: %+v", r.Problems)
	}
}
