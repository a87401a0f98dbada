package refusal

import (
	"bufio"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"facteur/internal/test/doubling"
)

// sample is a refusal as it was given, and the row that is to read it.
type sample struct{ row, host, reply string }

func samples(t testing.TB) (all []sample) {
	t.Helper()
	f, err := os.Open("testdata/samples.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		text := lines.Text()
		if text == "" || text[0] == '#' {
			continue
		}
		parts := strings.SplitN(text, "|", 3)
		if len(parts) != 3 {
			t.Fatalf("not a sample: %q", text)
		}
		all = append(all, sample{strings.TrimSpace(parts[0]), strings.TrimSpace(parts[1]), strings.TrimSpace(parts[2])})
	}
	return all
}

// read reads a sample in one of the ways that callers have it.
func (s sample) read(way string) (Reading, bool) {
	switch way {
	case "all in the text":
		return Read(s.host, 0, "", s.reply)
	case "code, enhanced code and text":
		code, enhanced, text := split(s.reply)
		return Read(s.host, code, enhanced, text)
	}
	return ReadReason("host " + s.host + " said: " + s.reply + " (in reply to RCPT TO command)")
}

// split takes a reply apart as a client does.
func split(reply string) (code int, enhanced, text string) {
	code, err := strconv.Atoi(reply[:min(3, len(reply))])
	if err != nil {
		return 0, "", reply
	}
	text = strings.TrimPrefix(reply[3:], "-")
	text = strings.ReplaceAll(strings.TrimLeft(text, " "), " "+reply[:3]+"-", " ")
	if word, rest, _ := strings.Cut(text, " "); isEnhanced(word) {
		return code, word, strings.ReplaceAll(rest, word+" ", "")
	}
	return code, "", text
}

func TestSamples(t *testing.T) {
	for _, s := range samples(t) {
		for _, way := range []string{"all in the text", "code, enhanced code and text", "a reason"} {
			want := s.row
			if want == "-" {
				want = ""
			}
			if got, ok := s.read(way); got.ID != want || ok != (want != "") {
				t.Errorf("%s: %q at %q is read as %q, want %q", way, s.reply, s.host, got.ID, want)
			}
		}
	}
}

// TestTableIsWhole: each row has a name of its own, words in both languages and a
// sample, and is not hidden by one above.
func TestTableIsWhole(t *testing.T) {
	shown, used := map[string]bool{}, map[string]bool{}
	for _, s := range samples(t) {
		shown[s.row] = true
	}
	seen := map[string]bool{}
	for i := range forms {
		f := &forms[i]
		if seen[f.id] {
			t.Errorf("%s is there twice", f.id)
		}
		seen[f.id], used[f.means] = true, true
		if !shown[f.id] {
			t.Errorf("%s has no sample", f.id)
		}
		if f.on == "" && len(f.says)+len(f.names) == 0 {
			t.Errorf("%s fits everything", f.id)
		}
		for _, words := range slices.Concat(f.says, f.names) {
			if words != lower(words) || strings.Trim(words, "* ") == "" && words != "" {
				t.Errorf("%s: %q fits nothing, or everything", f.id, words)
			}
		}
		for _, text := range []string{f.reading().Cause.En, f.reading().Cause.Fr, f.reading().Cure.En, f.reading().Cure.Fr} {
			if !strings.HasSuffix(text, ".") || !utf8.ValidString(text) {
				t.Errorf("%s: %q is no sentence", f.id, text)
			}
		}
	}
	for key := range meanings {
		if !used[key] {
			t.Errorf("nothing means %s", key)
		}
	}
}

// TestWhatItAsksFor: who slows down, and who tries another way out.
func TestWhatItAsksFor(t *testing.T) {
	for _, s := range samples(t) {
		r, ok := s.read("all in the text")
		if !ok {
			continue
		}
		if r.SlowDown && r.Blocked {
			t.Errorf("%s: to slow down and to go another way are two things", r.ID)
		}
		if r.Blocked && r.Fault != OurAddress && r.Fault != OurSetup || r.SlowDown && r.Fault == Message {
			t.Errorf("%s: it is said to be the fault of %s", r.ID, r.Fault)
		}
	}
	for reply, want := range map[string]Reading{
		"421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred": {SlowDown: true},
		"450 4.2.1 The user is receiving mail at a rate that":            {SlowDown: true},
		"554- (RTR:BB) http://x 554 Connecting IP: 192.0.2.1":            {Blocked: true},
		"550 5.1.1 User unknown":                                         {},
		"451 4.7.1 Greylisted":                                           {},
	} {
		if r, _ := Read("mx.example.net", 0, "", reply); r.SlowDown != want.SlowDown || r.Blocked != want.Blocked {
			t.Errorf("%q: %+v", reply, r)
		}
	}
}

// What the sender or the recipient chose himself does not decide what a refusal means.
func TestWordsOfOthers(t *testing.T) {
	for reply, want := range map[string]string{
		`550 5.1.1 <spamhaus@x.example>: Subject "Your IP is listed at zen.spamhaus.org (S3140)" not wanted`: "",
		"554 5.7.1 Header Subject: mailbox full, please see spamhaus.org":                                    "",
		"554 5.7.1 Spam detected by subject='user unknown' here":                                             "spam",
		"550 5.7.1 blocked using zen.spamhaus.org; subject: hello":                                           "spamhaus",
		"550 5.7.1 Subject to the policy of zen.spamhaus.org":                                                "spamhaus",
		"550 mailbox spamhaus unknown":                                                                       "",
		"550 5.1.1 abusix: no":                                                                               "code-unknown",
		"550 5.1.1 no such user: dmarc":                                                                      "unknown",
		"550 5.1.1 mailbox spam is not here":                                                                 "code-unknown",
		"450 4.1.1 unverified address: user spamcop unknown":                                                 "",
		"550 5.4.4 host mx.uceprotect.example not found":                                                     "",
		"550 5.1.1 client blocked using zen.spamhaus.org, user spamhaus unknown":                             "spamhaus",
		"550 DMARC record of example.com does not exist":                                                     "dmarc",
		"550 5.7.26 dmarc: the domain does not exist":                                                        "dmarc",
		"550 5.7.1 Spamhaus has you":                                                                         "spamhaus",
		"550 5.1.1 <over-quota@mailbox-full.example>: no":                                                    "",
	} {
		if r, _ := Read("mx.example.net", 0, "", reply); want == "" && (r.Fault == OurAddress || r.Blocked || r.ID == "full") || want != "" && !strings.HasPrefix(r.ID, want) {
			t.Errorf("%q is read as %q, want %q", reply, r.ID, want)
		}
	}
}

// What has come back is not said to be tried again.
func TestAdvice(t *testing.T) {
	for _, s := range samples(t) {
		r, _ := s.read("all in the text")
		if text := r.Advice(true); strings.Contains(text.En, "by itself") && !strings.Contains(text.En, "As long as") && !strings.Contains(text.En, "If the message came back") {
			t.Errorf("%s: %s", r.ID, text.En)
		}
		if r.Advice(false) != r.Cure {
			t.Errorf("%s: %s", r.ID, r.Advice(false).En)
		}
	}
}

func TestReadReason(t *testing.T) {
	for reason, want := range map[string]string{
		"delivery temporarily suspended: host mailin-01.mx.aol.com[205.188.159.42] refused to talk to me: 554- (RTR:BB) http://postmaster.info.aol.com/errors/554rtrbb.html 554 Connecting IP: 82.233.208.64": "aol-dynamic",
		"host gmail-smtp-in.l.google.com[192.0.2.1]:25 said: 421 4.7.0 Try again later, closing connection. (in reply to MAIL FROM command)":                                                                  "google-later",
		"552 5.2.2 the mailbox is full":                                 "full",
		"connect to mx.example.net[192.0.2.1]:25: Connection timed out": "",
		"": "",
	} {
		if r, ok := ReadReason(reason); r.ID != want || ok != (want != "") {
			t.Errorf("%q is read as %q, want %q", reason, r.ID, want)
		}
	}
}

func TestIn(t *testing.T) {
	text := Text{"yes", "oui"}
	for language, want := range map[string]string{"fr": "oui", "FR-ca": "oui", "en": "yes", "": "yes", "de": "yes", "frr": "yes"} {
		if got := text.In(language); got != want {
			t.Errorf("%q: %q", language, got)
		}
	}
}

// TestDoubling: INV-16.
func TestDoubling(t *testing.T) {
	for name, piece := range map[string]string{"blanks": " ", "codes": "550-5.7.1 ", "halves": "blocked messages from rtr: ", "one word": "s", "digits": "dnsbl-1"} {
		doubling.Check(t, name, 500, func(n int) func() {
			text := strings.Repeat(piece, n/len(piece)+1)
			return func() { Read("mx.google.com", 550, "5.7.1", text) }
		})
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(s.host, 550, "5.7.1", s.reply)
	}
	f.Add("[", 0, "4..", "550- 5.1 (#5.1.1) \x80")
	f.Fuzz(func(t *testing.T, host string, code int, enhanced, text string) {
		r, ok := Read(host, code, enhanced, text)
		if ok != (r.ID != "") || ok && (r.Cause.En == "" || r.Cure.Fr == "") {
			t.Errorf("%+v %v", r, ok)
		}
		ReadReason(text)
	})
}

func BenchmarkRead(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Read("mx.example.net[192.0.2.1]:25", 450, "4.0.0", strings.Repeat("nothing that anybody knows of ", 10))
	}
}
