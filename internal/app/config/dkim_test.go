package config

import (
	"errors"
	"strings"
	"testing"
	"time"

	"facteur/internal/mail/dkim"
)

func TestDKIM(t *testing.T) {
	for entry, want := range map[string]string{
		"verify=false\nmaximum_signatures=4\nminimum_key_bits=2048\nclock_drift=\"5m\"\naccept_partial_body=true": "",
		"maximum_signatures=0":   "dkim.maximum_signatures: expected at least 1",
		"maximum_signatures=500": "dkim.maximum_signatures: expected at most 64",
		"minimum_key_bits=512":   "dkim.minimum_key_bits: expected at least 1024",
		"maximum_key_bits=1000":  "dkim.maximum_key_bits: expected at least 1024",
		"maximum_key_bits=65536": "dkim.maximum_key_bits: expected at most 8192",
		"clock_drift=\"0s\"":     "dkim.clock_drift: expected 1s to 1d",
	} {
		c, err := Parse("facteur.toml", []byte("hostname=\"mail.example.org\"\ndata_dir=\"/nowhere\"\n[dkim]\n"+entry+"\n"))
		if err == nil {
			err = errors.Join(c.Check()...)
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", entry, err, want)
		}
	}
	want := dkim.Options{Most: 8, MinBits: 1024, MaxBits: 4096, Skew: 10 * time.Minute}
	if got := Default().DKIM.Options(); got != want {
		t.Errorf("without settings: %+v", got)
	}
}
