package config

import (
	"testing"

	"facteur/internal/mail/address"
)

func TestReportAddresses(t *testing.T) {
	takes := takers([]string{"dmarc-reports", "fbl@Example.org"})
	for text, want := range map[string]bool{
		"dmarc-reports@example.org": true, "DMARC-Reports@other.example": true, "dmarc-reports+aggr@example.org": true,
		"fbl@example.org": true, "fbl@other.example": false, "alice@example.org": false,
	} {
		a, err := address.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if takes(a) != want {
			t.Errorf("%s: %t", text, !want)
		}
	}
}
