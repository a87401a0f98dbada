package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// The letter of the first text, as the filter sees it: the script in the archive (row 179).
func TestMIMEShow(t *testing.T) {
	t.Parallel()
	const file = "../../internal/mail/anatomy/testdata/bounce.eml"
	out := good(t, "", "mime", "show", file)
	for _, w := range []string{"ITS FILES\n", `"B1095_scan-invoice_0B0C3F.zip"  archive  application/zip`, `"1940c09.js"  script`, "! by its name, a double click would run it"} {
		if !strings.Contains(out, w) {
			t.Errorf("no %q in\n%s", w, out)
		}
	}
	letter := "Subject: =?utf-8?q?a=1b[31m?=\nContent-Type: text/html; charset=utf-8\nContent-Type: text/plain\n\n" +
		"<p>Bonjour</p><p style='display:none'>caché</p><a href='http://0x7f000001/\x1b[2J'>www.example.com</a>"
	out = good(t, letter, "mime", "show", "-")
	for _, w := range []string{"WHAT AN EYE SEES\n  Bonjour\n  www.example.com\n", "WHAT IS HIDDEN\n  caché", "which is 127.0.0.1", `shown as "www.example.com"`,
		"! it writes an address in a way that only browsers read", "! it shows another host than it leads to", "! a part: a field that decides how it is read stands twice"} {
		if !strings.Contains(out, w) {
			t.Errorf("no %q in\n%s", w, out)
		}
	}
	if strings.ContainsAny(out, "\x1b\x07") {
		t.Errorf("%q", out)
	}
	var seen struct {
		Text  string
		Odd   []string
		Links []struct {
			Host   string
			Tricks []string
		}
	}
	if err := json.Unmarshal([]byte(good(t, letter, "mime", "show", "--json", "-")), &seen); err != nil || seen.Text != "Bonjour\nwww.example.com" || len(seen.Odd) != 1 ||
		len(seen.Links) == 0 || len(seen.Links[0].Tricks) != 3 {
		t.Errorf("JSON: %+v, %v", seen, err)
	}
	if status, _, errs := call(t, "", "mime", "show", os.DevNull); status != 2 || !strings.Contains(errs, "it is empty") {
		t.Errorf("%d, %q", status, errs)
	}
}
