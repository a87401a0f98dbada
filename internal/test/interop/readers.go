package interop

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Pflogsumm is what Debian's pflogsumm makes of a Postfix log: the grand totals by
// their names ("received", "delivered", "bounced"), and its whole report.
func Pflogsumm(t testing.TB, log string) (totals map[string]int, report string) {
	t.Helper()
	file := WriteFile(t, filepath.Join(Room(t), "log"), log)
	report = Run(t, "", Need(t, "pflogsumm"), file)
	_, grand, _ := strings.Cut(report, "Grand Totals")
	grand, _, _ = strings.Cut(grand, "Per-Day")
	totals = make(map[string]int)
	for line := range strings.Lines(grand) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		if n, err := strconv.Atoi(fields[0]); err == nil {
			totals[strings.Join(fields[1:], " ")] = n
		}
	}
	return totals, report
}

// Mailgraph is what Debian's mailgraph counts in a Postfix log, with the time stamps of
// syslog, of a year: "sent", "received", "bounced", "rejected", and what it said.
func Mailgraph(t testing.TB, log string, year int) (counts map[string]int, output string) {
	t.Helper()
	dir := Room(t)
	file := WriteFile(t, filepath.Join(dir, "log"), log+later(t, log))
	output = Run(t, "", Need(t, "mailgraph"), "-v", "-c", "-l", file, "-y", strconv.Itoa(year), "--rrd-name", filepath.Join(dir, "mailgraph"))
	counts = make(map[string]int)
	names := []string{"sent", "received", "bounced", "rejected"}
	for line := range strings.Lines(output) {
		_, update, found := strings.Cut(strings.TrimSpace(line), "update ")
		parts := strings.Split(update, ":")
		if !found || len(parts) <= len(names) {
			continue
		}
		for i, name := range names {
			n, _ := strconv.Atoi(parts[i+1])
			counts[name] += n
		}
	}
	return counts, output
}

// later is an event some minutes after a log: mailgraph writes down a minute when it
// sees the next.
func later(t testing.TB, log string) string {
	t.Helper()
	last := strings.TrimSuffix(log, "\n")
	last = last[strings.LastIndexByte(last, '\n')+1:]
	at, err := time.Parse(time.Stamp, last[:min(len(last), len(time.Stamp))])
	if err != nil {
		t.Fatalf("the log ends with %q: %v", last, err)
	}
	return at.Add(5*time.Minute).Format(time.Stamp) + " mail postfix/smtp[1]: 1: to=<x>, relay=x[192.0.2.1]:25, status=sent (250)\n"
}
