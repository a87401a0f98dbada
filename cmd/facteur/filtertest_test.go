package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"facteur/internal/app/control"
)

// Row 181: whoever begins sees at once what the filter makes of a letter, without a server
// and without settings.
func TestFilterTest(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir) // no settings here
	name := filepath.Join(dir, "letter")
	text := "Return-Path: <win@lottery.example>\r\nReceived: from DISKSTATION (unknown [127.0.0.9]) by mail.example.org with SMTP id 1; Sun, 22 Nov 2026 10:00:00 +0000\r\n" +
		"From: Lottery <win@lottery.example>\r\nSubject: You have won $1,000,000 click here now\r\nContent-Type: text/html\r\n\r\n" +
		"<html><body><font size=7 color=red>FREE MONEY!!! <a href=\"http://127.0.0.1/x\">click here to claim your prize</a></font></body></html>\r\n"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, stderr := call(t, "", "filter", "test", name, "--dns", "127.0.0.1:1")
	if status != 0 || !strings.Contains(out, "SCORE") || !strings.Contains(out, "junk from 5: ") {
		t.Fatalf("%d\n%s%s", status, out, stderr)
	}
	status, out, stderr = call(t, text, "filter", "test", "-", "--json", "--dns", "127.0.0.1:1")
	var w control.Weighed
	if err := json.Unmarshal([]byte(out), &w); err != nil || status != 0 {
		t.Fatalf("%d %v\n%s%s", status, err, out, stderr)
	}
	sum := 0.0
	for _, r := range w.Evidence {
		sum += r.Counts
	}
	if diff := sum - w.Score; diff > 0.001 || diff < -0.001 || w.Required != 5 || !strings.Contains(w.Fields, "X-Spam-Status: ") {
		t.Errorf("%+v", w)
	}
	if err := os.WriteFile("facteur.toml", []byte("hostname = \"mail.example.org\"\ndata_dir = \"data\"\n[filter]\njunk = \"never\"\nkill = \"never\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, stderr = call(t, text, "filter", "test", "-", "--json", "--dns", "127.0.0.1:1", "-c", "facteur.toml")
	if err := json.Unmarshal([]byte(out), &w); err != nil || status != 0 || w.Fate != "accept" {
		t.Errorf("a level that is never reached: %d %v\n%s%s", status, err, out, stderr)
	}
	if _, out, _ = call(t, text, "filter", "test", "-", "--dns", "127.0.0.1:1", "-c", "facteur.toml"); !strings.Contains(out, "junk from never: accept.") {
		t.Errorf("a level that is never reached:\n%s", out)
	}
	if strings.Contains(out, "The filter is off") {
		t.Errorf("it is on:\n%s", out)
	}
	if err := os.WriteFile("facteur.toml", []byte("hostname = \"mail.example.org\"\ndata_dir = \"data\"\n[filter]\nenabled = false\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, out, _ = call(t, text, "filter", "test", "-", "--dns", "127.0.0.1:1", "-c", "facteur.toml"); !strings.Contains(out, "The filter is off") {
		t.Errorf("it is off:\n%s", out)
	}
	if status, _, stderr := call(t, text, "filter", "test", "-", "--ip", "nowhere"); status == 0 || !strings.Contains(stderr, "--ip") {
		t.Errorf("%d %s", status, stderr)
	}
}
