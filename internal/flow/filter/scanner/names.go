package scanner

import "strings"

// Names say which names of clamd are no viruses, and what they count for instead.
type Names struct {
	// Scores are by the beginning of a name; the longest that fits holds. They stand before
	// the table that ships.
	Scores map[string]float64
	// Viruses are beginnings of names that are viruses whatever the tables say.
	Viruses []string
}

// harmless is one row of the table that ships: names that begin so, what they count for, what
// the remark is called (after the name of the scanner), and what they are.
type harmless struct {
	prefix string
	score  float64
	remark string
	what   string
}

// table has the names of clamd that tell of no virus, from its own heuristics and from the
// signatures of others that many load. A plain heuristic alone has cost honest mail too often.
var table = [...]harmless{
	{"Heuristics.Encrypted.", 1, "encrypted", "a file with a password"},
	{"Heuristics.Phishing.", 3, "phishing", "a link that hides where it leads"},
	{"Heuristics.OLE2.ContainsMacros", 1.5, "macros", "a document with macros"},
	{"Heuristics.Structured.", 0.5, "structured", "numbers such as those of credit cards"},
	{"Heuristics.Limits.Exceeded", 0.5, "limits", "a file that is too large or nested too deep to be looked at whole"},
	{"Heuristics.Broken.", 1, "broken", "a damaged file"},
	{"Heuristics.Safebrowsing.", 3, "phishing", "a link to a page that is known for fraud"},
	{"Heuristics.", 1.5, "heuristic", "something odd"},
	{"PUA.", 1.5, "pua", "a program that may be unwanted"},
	{"Phishing.", 3.5, "phishing", "phishing"},
	{"Email.Phishing.", 3.5, "phishing", "phishing"},
	{"HTML.Phishing.", 3.5, "phishing", "phishing"},
	{"Email.Spam.", 3.5, "spam", "spam"},
	{"Sanesecurity.Malware.", 0, "", ""},
	{"Sanesecurity.Rogue.", 0, "", ""},
	{"Sanesecurity.Foxhole.", 2, "foxhole", "a kind of file that is often sent by worms"},
	{"Sanesecurity.", 3, "spam", "spam or fraud"},
	{"ScamNailer.", 3, "phishing", "the address of a swindler"},
	{"MBL_", 0, "", ""},
	{"winnow.spam.", 3, "spam", "spam"},
	{"winnow.phish.", 3.5, "phishing", "phishing"},
	{"winnow.", 2, "spam", "a link or a sender of bad repute"},
}

// named is what a remark is called that the settings count for something.
const named = "named"

// read is what a name means. virus: it is one.
func (n *Names) read(name string) (row harmless, virus bool) {
	for _, prefix := range n.Viruses {
		if strings.HasPrefix(name, prefix) {
			return row, true
		}
	}
	for prefix, score := range n.Scores {
		if strings.HasPrefix(name, prefix) && len(prefix) > len(row.prefix) {
			row = harmless{prefix, score, named, "what the settings name"}
		}
	}
	if row.prefix != "" {
		return row, false
	}
	for _, known := range table {
		if strings.HasPrefix(name, known.prefix) && len(known.prefix) > len(row.prefix) {
			row = known
		}
	}
	return row, row.remark == ""
}
