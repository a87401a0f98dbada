package imap

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestSearchGrammar(t *testing.T) {
	day := time.Date(1994, 2, 1, 0, 0, 0, 0, time.UTC)
	all := SearchKey{}
	for _, c := range []struct {
		in   string
		args any
	}{
		{"SEARCH RETURN () ALL", Search{Extended: true}},
		{"SEARCH RETURN (SAVE MAX) $", Search{Extended: true, Return: SearchReturn{Save: true, Max: true}, Key: SearchKey{Op: SearchSeq, Set: SequenceSet{}}}},
		{"UID SEARCH UID $", Search{Key: SearchKey{Op: SearchUID, Set: SequenceSet{}}}},
		{"UID SEARCH RETURN (PARTIAL -1:-100) UNDELETED", Search{Extended: true, Return: SearchReturn{Page: &Page{1, 100, true}},
			Key: not(SearchKey{Op: SearchFlag, Text: `\Deleted`})}},
		{"SEARCH RETURN (PARTIAL 24000:23500 UPDATE CONTEXT RELEVANCY) FUZZY (SUBJECT \"x\" NOT BODY y)", Search{Extended: true,
			Return: SearchReturn{Page: &Page{From: 23500, To: 24000}, Update: true, Context: true, Relevancy: true},
			Key: SearchKey{Op: SearchAnd, Fuzzy: true, Keys: []SearchKey{{Op: SearchHeader, Field: "SUBJECT", Text: "x", Fuzzy: true},
				{Op: SearchNot, Fuzzy: true, Keys: []SearchKey{{Op: SearchBody, Text: "y", Fuzzy: true}}}}}}},
		{"SEARCH MODSEQ \"/flags/\\\\draft\" all 620162338", Search{Key: SearchKey{Op: SearchModSeq, Size: 620162338}}},
		{"SEARCH MODSEQ 9223372036854775807", Search{Key: SearchKey{Op: SearchModSeq, Size: 1<<63 - 1}}},
		{"SEARCH SAVEDSINCE 1-Feb-1994", Search{Key: SearchKey{Op: SearchSavedSince, Date: day}}},
		{"SEARCH SAVEDATESUPPORTED", Search{Key: all}},
		{"SEARCH EMAILID M6d99ac3275bb4e", Search{Key: SearchKey{Op: SearchEmailID, Text: "M6d99ac3275bb4e"}}},
		{"SEARCH THREADID T-_", Search{Key: SearchKey{Op: SearchThreadID, Text: "T-_"}}},
		{"SEARCH FILTER on-the-road", Search{Key: SearchKey{Op: SearchFilter, Text: "on-the-road"}}},
		{"SEARCH YOUNGER 259200", Search{Key: SearchKey{Op: SearchYounger, Size: 259200}}},
		{"SORT (REVERSE SUBJECT DATE) UTF-8 ALL", Sort{Search{Charset: "UTF-8"}, []SortKey{{SortSubject, true}, {SortDate, false}}}},
		{"UID SORT RETURN (COUNT) (DISPLAYFROM) us-ascii ALL", Sort{Search{Charset: "US-ASCII", Extended: true, Return: SearchReturn{Count: true}}, []SortKey{{SortDisplayFrom, false}}}},
		{"THREAD REFERENCES UTF-8 ALL", Thread{Search{Charset: "UTF-8"}, "REFERENCES"}},
		{"CANCELUPDATE \"B02\" \"B03\"", CancelUpdate{"B02", "B03"}},
		{"ESEARCH IN (mailboxes \"folder1\" subtree (a b) selected) RETURN (ALL) ALL", Search{Extended: true, Return: SearchReturn{All: true},
			In: []Source{{SourceMailboxes, []string{"folder1"}}, {SourceSubtree, []string{"a", "b"}}, {SourceSelected, nil}}}},
		{"ESEARCH ALL", Search{Extended: true}},
	} {
		got, err := one(t, "a "+c.in+"\r\n")
		if err != nil || !reflect.DeepEqual(got.Args, c.args) {
			t.Errorf("%s\n got %#v %v\nwant %#v", c.in, got.Args, err, c.args)
		}
	}
}

func TestSearchRefused(t *testing.T) {
	for _, in := range []string{
		"SEARCH RETURN (ALL PARTIAL 1:2) ALL", "SEARCH RETURN (PARTIAL 0:2) ALL", "SEARCH RETURN (PARTIAL -1:2) ALL", "SEARCH RETURN (PARTIAL 1) ALL",
		"SEARCH RETURN (PARTIAL 1:2 PARTIAL 3:4) ALL", "SEARCH MODSEQ 9223372036854775808", "SEARCH MODSEQ \"/flags/x\" some 1", "SEARCH OLDER 0",
		"SEARCH YOUNGER 4294967296", "SEARCH EMAILID \"x\"", "SEARCH EMAILID a.b", "SEARCH FILTER", "SEARCH FUZZY", "SEARCH $,1", "SEARCH SAVEDON x",
		"SORT () UTF-8 ALL", "SORT (FOO) UTF-8 ALL", "SORT (REVERSE) UTF-8 ALL", "SORT (DATE) ALL", "SORT DATE UTF-8 ALL", "THREAD FOO UTF-8 ALL",
		"THREAD REFS UTF-8", "CANCELUPDATE", "CANCELUPDATE x", "ESEARCH", "ESEARCH IN () ALL", "ESEARCH IN (foo) ALL", "ESEARCH IN (subtree ()) ALL",
		"ESEARCH IN (subtree) ALL", "UID ESEARCH ALL", "ESEARCH IN (personal (x)) ALL",
	} {
		var syntax *SyntaxError
		if c, err := one(t, "a "+in+"\r\n"); !errors.As(err, &syntax) {
			t.Errorf("%s: %#v %v", in, c.Args, err)
		}
	}
	var limit *LimitError
	for name, in := range map[string]string{
		"IMAP-004 FUZZY": "SEARCH " + strings.Repeat("FUZZY ", 16000/6) + "ALL", "sort keys": "SORT (" + strings.Repeat("DATE ", 30) + "DATE) UTF-8 ALL",
		"mailboxes": "ESEARCH IN (mailboxes (" + strings.Repeat("a ", 2000) + "a)) ALL",
	} {
		if _, err := one(t, "a "+in+"\r\n"); !errors.As(err, &limit) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPage(t *testing.T) {
	for _, c := range []struct {
		p           Page
		n, from, to int
		written     string
	}{
		{Page{From: 1, To: 10}, 100, 0, 10, "1:10"}, {Page{From: 1, To: 10}, 3, 0, 3, "1:10"}, {Page{From: 5, To: 10}, 3, 3, 3, "5:10"},
		{Page{1, 10, true}, 100, 90, 100, "-1:-10"}, {Page{3, 4, true}, 5, 1, 3, "-3:-4"}, {Page{3, 4, true}, 3, 0, 1, "-3:-4"},
		{Page{7, 8, true}, 3, 0, 0, "-7:-8"}, {Page{1, 1<<32 - 1, true}, 2, 0, 2, "-1:-4294967295"},
	} {
		if from, to := c.p.Cut(c.n); from != c.from || to != c.to || c.p.String() != c.written {
			t.Errorf("%v of %d: %d:%d", c.p, c.n, from, to)
		}
	}
}

func FuzzSearchKeys(f *testing.F) {
	for _, s := range []string{"OR (NOT 1:*) BEFORE 1-Feb-1994", "CHARSET utf-8 TEXT \"x\"", "FUZZY BODY x", "FILTER a", "MODSEQ \"/flags/x\" all 1", "BODY {1}", "$", "UID $"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := ParseSearchKeys(text); err == nil {
			if _, err := ParseSearchKeys(text); err != nil {
				t.Errorf("%q: %v, then %v", text, s, err)
			}
		}
	})
}
