package arc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/message"
)

const suitePath = "../../../../shared/suites/arc-draft-validation-tests.yml"

type scenario struct {
	Description string               `yaml:"description"`
	Tests       map[string]suiteCase `yaml:"tests"`
	Records     map[string]string    `yaml:"txt-records"`
}

type suiteCase struct {
	Description string `yaml:"description"`
	Message     string `yaml:"message"`
	CV          string `yaml:"cv"`
}

// readSuite reads the public suite; it skips where that is not to be had.
func readSuite(t testing.TB) (out []scenario) {
	t.Helper()
	text, err := os.ReadFile(suitePath)
	if errors.Is(err, os.ErrNotExist) && os.Getenv("FACTEUR_TEST_REQUIRE") == "" {
		t.Skip("the suite of ARC is not here: " + suitePath)
	}
	must(t, err)
	d := yaml.NewDecoder(bytes.NewReader(text), yaml.AllowDuplicateMapKey())
	for {
		var s scenario
		if err := d.Decode(&s); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
}

// TestSuite: the public suite of ARC validation. Of a chain whose newest seal says cv=fail
// it leaves the result open; RFC 8617 §5.2 step 2 says that it is a fail.
func TestSuite(t *testing.T) {
	n := 0
	for _, s := range readSuite(t) {
		txt := records(s.Records)
		for name, c := range s.Tests {
			n++
			want := Status(strings.ToLower(c.CV))
			if want == "" {
				want = Fail
			}
			for _, text := range []string{c.Message, strings.ReplaceAll(c.Message, "\n", "\r\n")} {
				if got := verify(text, txt, Options{}); got.Status != want || (got.Reason == "") != (want == None || want == Pass) {
					t.Errorf("%s, %s: %s; %s expected", s.Description, name, got, want)
				}
			}
		}
	}
	if n != 171 {
		t.Errorf("%d cases; 171 expected", n)
	}
}

func records(r map[string]string) TXT {
	return func(_ context.Context, name string) lookup.Answer[[]string] {
		if text, ok := r[name]; ok {
			return lookup.Yes([]string{text})
		}
		return lookup.No[[]string](errors.New("no such name"))
	}
}

// at is the time of tests.
var at = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func verify(text string, txt TXT, o Options) Result {
	end := message.HeaderEnd([]byte(text))
	b := dkim.NewBody()
	c := Read(message.Header(text[:end]), b, o)
	b.Write([]byte(text[end:]))
	return c.Verify(context.Background(), txt, at)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
