package imap

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
)

// decoder reads text and counts the continuation requests.
func decoder(text string, l Limits) (*Decoder, *int) {
	asked := new(int)
	r := bufio.NewReaderSize(strings.NewReader(text), 64)
	return NewDecoder(r, l, func() error { *asked++; return nil }), asked
}

// one decodes the only command in text.
func one(t *testing.T, text string) (Command, error) {
	t.Helper()
	d, _ := decoder(text, AfterLogin())
	c, err := d.Next()
	if err == nil {
		if _, rest := d.Next(); rest != io.EOF {
			t.Errorf("%q: then %v, want EOF", text, rest)
		}
	}
	return c, err
}

func TestCommands(t *testing.T) {
	day := time.Date(1994, 2, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		in   string
		name string
		args any
	}{
		{"a NOOP\r\n", "NOOP", nil},
		{"a noop \r\n", "NOOP", nil},
		{"a NOOP\n", "NOOP", nil},
		{"a LOGIN smith sesame\r\n", "LOGIN", Login{"smith", "sesame"}},
		{"a login \"a\\\"b\\\\c\" \"\"\r\n", "LOGIN", Login{`a"b\c`, ""}},
		{"a LOGIN {5}\r\nsm th {3+}\r\na\r\n\r\n", "LOGIN", Login{"sm th", "a\r\n"}},
		{"a AUTHENTICATE plain\r\n", "AUTHENTICATE", Authenticate{Mechanism: "PLAIN"}},
		{"a AUTHENTICATE PLAIN =\r\n", "AUTHENTICATE", Authenticate{"PLAIN", "=", true}},
		{"a AUTHENTICATE PLAIN dGVzdA==\r\n", "AUTHENTICATE", Authenticate{"PLAIN", "dGVzdA==", true}},
		{"a ID NIL\r\n", "ID", ID(nil)},
		{"a ID (\"name\" \"x\" \"v\" NIL)\r\n", "ID", ID{"name", "x", "v", ""}},
		{"a ENABLE condstore x\r\n", "ENABLE", Enable{"CONDSTORE", "X"}},
		{"a SELECT inbox\r\n", "SELECT", Select{Mailbox: "INBOX"}},
		{"a SELECT Inbox/x\r\n", "SELECT", Select{Mailbox: "INBOX/x"}},
		{"a EXAMINE \"&AOQ-b\"\r\n", "EXAMINE", Select{Mailbox: "äb"}},
		{"a CREATE x (USE (\\Sent))\r\n", "CREATE", Create{"x", []string{`\Sent`}}},
		{"a RENAME a b]\r\n", "RENAME", Rename{"a", "b]"}},
		{"a LIST \"\" *\r\n", "LIST", List{Patterns: []string{"*"}}},
		{"a LIST \"\" &AAAA-\r\n", "LIST", List{}},
		{"a LIST (SUBSCRIBED RECURSIVEMATCH) x/ (INBOX %) RETURN (CHILDREN STATUS (MESSAGES unseen))\r\n", "LIST",
			List{Reference: "x/", Patterns: []string{"INBOX", "%"}, Extended: true, SelectSubscribed: true,
				RecursiveMatch: true, ReturnChildren: true, Status: []string{"MESSAGES", "UNSEEN"}}},
		{"a LSUB \"\" %\r\n", "LSUB", LSub{Patterns: []string{"%"}}},
		{"a STATUS x (UIDNEXT SIZE)\r\n", "STATUS", Status{"x", []string{"UIDNEXT", "SIZE"}}},
		{"a SELECT x (CONDSTORE)\r\n", "SELECT", Select{Mailbox: "x", CondStore: true}},
		{"a EXAMINE x (QRESYNC (67890007 90060115194045000))\r\n", "EXAMINE",
			Select{Mailbox: "x", Resync: &Resync{UIDValidity: 67890007, ModSeq: 90060115194045000}}},
		{"a SELECT x (QRESYNC (1 9223372036854775807 41,43:211,214:541))\r\n", "SELECT", Select{Mailbox: "x",
			Resync: &Resync{UIDValidity: 1, ModSeq: 1<<63 - 1, Known: SequenceSet{{41, 41}, {43, 211}, {214, 541}}}}},
		{"a SELECT x (QRESYNC (1 2 1:29997 (5000,7500 15000,22500)))\r\n", "SELECT", Select{Mailbox: "x", Resync: &Resync{
			UIDValidity: 1, ModSeq: 2, Known: SequenceSet{{1, 29997}}, Seqs: Ranges{{5000, 5000}, {7500, 7500}}, UIDs: Ranges{{15000, 15000}, {22500, 22500}}}}},
		{"a SELECT x (QRESYNC (1 2 (1 7)))\r\n", "SELECT", Select{Mailbox: "x", Resync: &Resync{
			UIDValidity: 1, ModSeq: 2, Seqs: Ranges{{1, 1}}, UIDs: Ranges{{7, 7}}}}},
		{"a FETCH $ MODSEQ (CHANGEDSINCE 12345)\r\n", "FETCH", Fetch{Set: SequenceSet{},
			Items: []FetchItem{{Kind: FetchModSeq, Name: "MODSEQ"}}, Changed: Changed{Given: true, Since: 12345}}},
		{"a UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)\r\n", "UID FETCH", Fetch{Set: SequenceSet{{300, 500}},
			Items: []FetchItem{{Kind: FetchFlags, Name: "FLAGS"}}, Changed: Changed{Given: true, Since: 12345, Vanished: true}}},
		{"a UID STORE 6,4,8 (UNCHANGEDSINCE 12121230045) +FLAGS.SILENT (\\Deleted)\r\n", "UID STORE", Store{Set: SequenceSet{{6, 6}, {4, 4}, {8, 8}},
			Op: '+', Silent: true, Flags: []string{`\Deleted`}, Conditional: true, UnchangedSince: 12121230045}},
		{"a COPY 2:4,* MEETING\r\n", "COPY", Copy{SequenceSet{{2, 4}, {Star, Star}}, "MEETING"}},
		{"a UID EXPUNGE 3000:3002\r\n", "UID EXPUNGE", Expunge{SequenceSet{{3000, 3002}}}},
		{"a STORE 2:4 +FLAGS (\\Deleted $X)\r\n", "STORE", Store{Set: SequenceSet{{2, 4}}, Op: '+', Flags: []string{`\Deleted`, "$X"}}},
		{"a STORE 1 flags.silent \\seen x\r\n", "STORE", Store{Set: SequenceSet{{1, 1}}, Silent: true, Flags: []string{`\Seen`, "x"}}},
		{"a STORE 1 -FLAGS ()\r\n", "STORE", Store{Set: SequenceSet{{1, 1}}, Op: '-', Flags: []string{}}},
		{"a FETCH 1 fast\r\n", "FETCH", Fetch{Set: SequenceSet{{1, 1}}, Items: []FetchItem{
			{Kind: FetchFlags, Name: "FLAGS"}, {Kind: FetchInternalDate, Name: "INTERNALDATE"}, {Kind: FetchSize, Name: "RFC822.SIZE"}}}},
		{"a UID FETCH 1:* (UID BODY.PEEK[1.2.MIME]<5.10> BODY BODY[])\r\n", "UID FETCH", Fetch{Set: SequenceSet{{1, Star}}, Items: []FetchItem{
			{Name: "UID"},
			{Kind: FetchSection, Name: "BODY", Peek: true, Section: Section{Path: []uint32{1, 2}, Text: SectionMIME}, Partial: &Partial{5, 10}},
			{Kind: FetchBody, Name: "BODY"}, {Kind: FetchSection, Name: "BODY"}}}},
		{"a FETCH 1 BODY[HEADER.FIELDS.NOT (DATE \"x y\")]\r\n", "FETCH", Fetch{Set: SequenceSet{{1, 1}}, Items: []FetchItem{
			{Kind: FetchSection, Name: "BODY", Section: Section{Text: SectionFieldsNot, Fields: []string{"DATE", "x y"}}}}}},
		{"a FETCH 1 RFC822.HEADER\r\n", "FETCH", Fetch{Set: SequenceSet{{1, 1}}, Items: []FetchItem{
			{Kind: FetchSection, Name: "RFC822.HEADER", Peek: true, Section: Section{Text: SectionHeader}}}}},
		{"a SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"\r\n", "SEARCH", Search{Key: SearchKey{Op: SearchAnd, Keys: []SearchKey{
			{Op: SearchFlag, Text: `\Flagged`}, {Op: SearchSince, Date: day},
			{Op: SearchNot, Keys: []SearchKey{{Op: SearchHeader, Field: "FROM", Text: "Smith"}}}}}}},
		{"a SEARCH RETURN (MIN COUNT) CHARSET utf-8 OR 1:2 (UID 7 LARGER 5)\r\n", "SEARCH", Search{
			Return: SearchReturn{Min: true, Count: true}, Extended: true, Charset: "UTF-8", Key: SearchKey{Op: SearchOr, Keys: []SearchKey{
				{Op: SearchSeq, Set: SequenceSet{{1, 2}}},
				{Op: SearchAnd, Keys: []SearchKey{{Op: SearchUID, Set: SequenceSet{{7, 7}}}, {Op: SearchLarger, Size: 5}}}}}}},
		{"a SEARCH TEXT {3+}\r\na b UNSEEN\r\n", "SEARCH", Search{Key: SearchKey{Op: SearchAnd, Keys: []SearchKey{
			{Op: SearchText, Text: "a b"}, not(SearchKey{Op: SearchFlag, Text: `\Seen`})}}}},
		{"a GENURLAUTH \"x\" internal y INTERNAL\r\n", "GENURLAUTH", GenURLAuth{{"x", "INTERNAL"}, {"y", "INTERNAL"}}},
		{"a URLFETCH x (\"y\" BODYPARTSTRUCTURE BINARY)\r\n", "URLFETCH", URLFetch{{URL: "x"}, {URL: "y", Structure: true, Binary: true}}},
		{"a RESETKEY\r\n", "RESETKEY", ResetKey{}},
		{"a RESETKEY inbox INTERNAL XSAMPLE\r\n", "RESETKEY", ResetKey{Mailbox: "INBOX", Mechanisms: []string{"INTERNAL", "XSAMPLE"}}},
		{"a UID SEARCH UNKEYWORD $Junk\r\n", "UID SEARCH", Search{Key: not(SearchKey{Op: SearchFlag, Text: "$Junk"})}},
	} {
		got, err := one(t, c.in)
		if err != nil || got.Tag != "a" || got.Name != c.name || !reflect.DeepEqual(got.Args, c.args) {
			t.Errorf("%q\n got %q %#v %v\nwant %q %#v", c.in, got.Name, got.Args, err, c.name, c.args)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, in := range []string{
		"\r\n", "a\r\n", " NOOP\r\n", "a NOOP x\r\n", "a  NOOP\r\n", "+ NOOP\r\n", "a FROB\r\n", "a UID NOOP\r\n", "a UID\r\n",
		"a LOGIN x\r\n", "a LOGIN x \"y\r\n", "a LOGIN x \"\\y\"\r\n", "a LOGIN x y\x00\r\n", "a LOGIN x \"\xff\x00\"\r\n", "a LOGIN {1}x y\r\n",
		"a LOGIN {1+}\r\n\x00 x\r\n", "a ID ((((((\r\n", "a SELECT \xff\r\n", "a SELECT \"&\"\r\n", "a SELECT &AGE-\r\n", "a SELECT &AAAA-\r\n",
		"a CREATE x (FOO)\r\n", "a LIST (RECURSIVEMATCH) \"\" *\r\n", "a LIST \"\" * RETURN (FOO)\r\n", "a STATUS x (FOO)\r\n", "a STATUS x MESSAGES\r\n",
		"a FETCH 0 FLAGS\r\n", "a FETCH 4294967296 FLAGS\r\n", "a FETCH 1: FLAGS\r\n", "a FETCH 1,,2 FLAGS\r\n", "a SELECT x (QRESYNC (1))\r\n", "a SELECT x (QRESYNC (1 2 *))\r\n", "a SELECT x (QRESYNC (1 9223372036854775808))\r\n",
		"a SELECT x (QRESYNC (1 2 (1:2 7)))\r\n", "a SELECT x (QRESYNC (1 2 $))\r\n", "a SELECT x (QRESYNC (1 2 1:*))\r\n",
		"a SELECT x (QRESYNC (1 2) QRESYNC (1 2))\r\n", "a UID FETCH 1 FLAGS (VANISHED)\r\n", "a STORE 1 (UNCHANGEDSINCE 18446744073709551616) FLAGS ()\r\n",
		"a FETCH $,1 FLAGS\r\n", "a FETCH 01 FLAGS\r\n",
		"a FETCH 1 ()\r\n", "a FETCH 1 (FLAGS\r\n", "a FETCH 1 FOO\r\n", "a FETCH 1 BODY[0]\r\n", "a FETCH 1 BODY[1.]\r\n", "a FETCH 1 BODY[MIME]\r\n",
		"a FETCH 1 BODY[TEXT]<0.0>\r\n", "a FETCH 1 BODY[TEXT]<99999999999999999999.1>\r\n", "a FETCH 1 BODY[HEADER.FIELDS ()]\r\n", "a FETCH 1 (ALL)\r\n",
		"a STORE 1 FLAGS \\Recent\r\n", "a STORE 1 FLAGS \\Foo\r\n", "a STORE 1 FLAGS\r\n", "a STORE 1 (FLAGS)\r\n",
		"a SEARCH\r\n", "a SEARCH FOO\r\n", "a SEARCH BEFORE 32-Jan-2000\r\n", "a SEARCH BEFORE 1-1-2000\r\n", "a SEARCH NOT\r\n", "a SEARCH OR ALL\r\n",
		"a SEARCH (ALL\r\n", "a SEARCH ALL)\r\n", "a SELECT {5}{5}\r\n",
	} {
		d, asked := decoder(in+"b NOOP\r\n", AfterLogin())
		_, err := d.Next()
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%q: %v, want a syntax error", in, err)
		}
		if next, err := d.Next(); err != nil || next.Tag != "b" || *asked > 1 {
			t.Errorf("%q: then %v %v, asked %d times", in, next, err, *asked)
		}
	}
}

func TestLimits(t *testing.T) {
	many := func(s string, n int) string { return strings.Repeat(s, n) }
	var syntax *SyntaxError
	var limit *LimitError
	var fatal *FatalError
	for _, c := range []struct {
		name, in string
		limits   Limits
		as       any
	}{
		{"IMAP-002 line after login", "a LOGIN " + many("x", 64<<10) + " y\r\n", AfterLogin(), &fatal},
		{"IMAP-002 line before login", "a LOGIN " + many("x", 12<<10) + " y\r\n", BeforeLogin(), &fatal},
		{"IMAP-002 line without end", many("x", 1<<20), BeforeLogin(), &fatal},
		{"IMAP-002 100000 small literals", "a ID (" + many("{1+}\r\nx {1+}\r\ny ", 50000) + ")\r\n", AfterLogin(), &fatal},
		{"IMAP-002 1001 literals", "a FETCH 1 BODY[HEADER.FIELDS (" + many("{1+}\r\nx ", 1000) + "{1+}\r\nx)]\r\n", AfterLogin(), &fatal},
		{"IMAP-002 literals over the sum", "a FETCH 1 BODY[HEADER.FIELDS (" + many("{300000+}\r\n"+many("x", 300000)+" ", 4) + "x)]\r\n", AfterLogin(), &fatal},
		{"IMAP-002 large literal", "a LOGIN {1048577}\r\n", AfterLogin(), &syntax},
		{"IMAP-002 huge literal", "a LOGIN {9223372036854775807+}\r\n", AfterLogin(), &fatal},
		{"IMAP-002 beyond 63 bits", "a LOGIN {99999999999999999999+}\r\n", AfterLogin(), &fatal},
		{"IMAP-002 literal before login", "a LOGIN {8193+}\r\n", BeforeLogin(), &fatal},
		{"IMAP-003 ID", "a ID " + many("(", 60000) + "\r\n", AfterLogin(), &syntax},
		{"IMAP-003 SEARCH before login", "a SEARCH ((ALL))\r\n", BeforeLogin(), &limit},
		{"IMAP-003 SEARCH after login", "a SEARCH " + many("(", 60000) + "\r\n", AfterLogin(), &limit},
		{"IMAP-004 NOT", "a SEARCH " + many("NOT ", 16000) + "ALL\r\n", AfterLogin(), &limit},
		{"IMAP-004 OR", "a SEARCH " + many("OR ", 16000) + "ALL\r\n", AfterLogin(), &limit},
		{"IMAP-004 keys", "a SEARCH" + many(" ALL", 10000) + "\r\n", AfterLogin(), &limit},
		{"IMAP-022 text", "a SEARCH BODY {5000+}\r\n" + many("x", 5000) + "\r\n", AfterLogin(), &limit},
		{"IMAP-011 keyword", "a STORE 1 +FLAGS " + many("k", 60000) + "\r\n", AfterLogin(), &limit},
		{"IMAP-007 section", "a FETCH 1 BODY[1" + many(".1", 1000) + "]\r\n", AfterLogin(), &limit},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, _ := decoder(c.in, c.limits)
			if _, err := d.Next(); !errors.As(err, c.as) {
				t.Errorf("got %v, want %T", err, c.as)
			}
		})
	}
	if _, err := one(t, "a SEARCH "+many("NOT ", 49)+"ALL\r\n"); err != nil {
		t.Error("IMAP-004: depth 50 is allowed:", err)
	}
	if _, err := one(t, "a SEARCH"+many(" ALL", 999)+"\r\n"); err != nil {
		t.Error("IMAP-004: 1000 keys are allowed:", err)
	}
}

func TestErrorsSwallowLiterals(t *testing.T) {
	d, asked := decoder("a FROB {4+}\r\nx y\n {3+}\r\nb N\r\nc LOGIN {3}\r\nd NOOP\r\n", AfterLogin())
	if _, err := d.Next(); !errors.Is(err, errUnknown) {
		t.Fatal(err)
	}
	c, err := d.Next() // what stands in the literals is no command; c asks, and gets "d N"
	if c.Tag != "c" || err == nil || *asked != 1 {
		t.Error(c, err, *asked)
	}
}

// drain reads an APPEND to its end: a line for each message, its pieces in
// brackets, URLs in angle brackets.
func drain(a *reading) (string, error) {
	var out strings.Builder
	for {
		m, err := a.Next()
		if err == io.EOF {
			return out.String(), nil
		}
		if err != nil {
			return out.String(), err
		}
		fmt.Fprintf(&out, "%v %d", m.Flags, max(0, m.Date.Unix()))
		if m.UTF8 {
			out.WriteString(" utf8")
		}
		if err := drainPieces(a, &out); err != nil {
			return out.String(), err
		}
		out.WriteString("\n")
	}
}

func drainPieces(a *reading, out *strings.Builder) error {
	for {
		p, err := a.Piece()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if p.Literal == nil {
			fmt.Fprintf(out, " <%s>", p.URL)
			continue
		}
		b, err := io.ReadAll(p.Literal)
		fmt.Fprintf(out, " [%s]", b)
		if err != nil {
			return err
		}
	}
}

func TestAppend(t *testing.T) {
	var syntax *SyntaxError
	var limit *LimitError
	for _, c := range []struct {
		name, in string
		want     string
		asked    int
		fails    any // a pointer to the type of the error
	}{
		{"RFC 9051 §6.3.12", "a APPEND saved-messages (\\Seen) \" 7-Feb-1994 21:52:25 -0800\" {5}\r\nab\r\nc\r\n",
			"[\\Seen] 760686745 [ab\r\nc]\n", 1, nil},
		{"non-synchronising", "a APPEND x {2+}\r\nab\r\n", "[] 0 [ab]\n", 0, nil},
		{"empty", "a APPEND x {0+}\r\n\r\n", "[] 0 []\n", 0, nil},
		{"empty, asked for", "a APPEND x {0}\r\n\r\n", "[] 0 []\n", 1, nil},
		{"RFC 3502 §6.3.11", "a APPEND x (\\Seen) {2}\r\nab (\\Flagged) {2+}\r\ncd {1}\r\ne\r\n",
			"[\\Seen] 0 [ab]\n[\\Flagged] 0 [cd]\n[] 0 [e]\n", 2, nil},
		{"RFC 4469 §5", "a APPEND Drafts (\\Seen \\Draft $X) CATENATE (URL \"/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER\" TEXT {2}\r\nab" +
			" URL /x TEXT {1+}\r\nc)\r\n",
			"[\\Seen \\Draft $X] 0 </Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER> [ab] </x> [c]\n", 1, nil},
		{"CATENATE twice", "a APPEND x CATENATE (URL a) (\\Seen) CATENATE (TEXT {1+}\r\nb URL {1+}\r\nc)\r\n",
			"[] 0 <a>\n[\\Seen] 0 [b] <c>\n", 0, nil},
		{"RFC 9755 §4", "a APPEND x (\\Seen) UTF8 (~{2}\r\nab)\r\n", "[\\Seen] 0 utf8 [ab]\n", 1, nil},
		{"IMAP-020 NUL in a literal8", "a APPEND x ~{3+}\r\na\x00b\r\n", "[] 0 [a\x00b]\n", 0, nil},
		{"IMAP-020 cut short", "a APPEND x {5+}\r\nab", "[] 0 [ab]", 0, io.ErrUnexpectedEOF},
		{"IMAP-020 cut short behind it", "a APPEND x {2+}\r\nab", "[] 0 [ab]", 0, io.ErrUnexpectedEOF},
		{"IMAP-020 wrong length", "a APPEND x {2+}\r\nabc\r\n", "[] 0 [ab]\n", 0, &syntax},
		{"IMAP-020 rubbish behind it", "a APPEND x {2+}\r\nab {1+}x\r\n", "[] 0 [ab]\n[] 0", 0, &syntax},
		{"IMAP-020 10000 messages", "a APPEND x" + strings.Repeat(" {1+}\r\na", 10000) + "\r\n", strings.Repeat("[] 0 [a]\n", 1000), 0, &limit},
		{"CATENATE of nothing", "a APPEND x CATENATE ()\r\n", "[] 0", 0, &syntax},
		{"CATENATE of what", "a APPEND x CATENATE (URL a FILE b)\r\n", "[] 0 <a>", 0, &syntax},
		{"CATENATE open", "a APPEND x CATENATE (TEXT {1+}\r\na\r\n", "[] 0 [a]", 0, &syntax},
		{"IMAP-020 date garbage", "a APPEND x \"no date\" {3}\r\n", "", 0, &syntax},
		{"no literal", "a APPEND x abc\r\n", "", 0, &syntax},
		{"no literal at the end", "a APPEND x {3}x\r\n", "[] 0", 0, &syntax},
		{"beyond 63 bits", "a APPEND x {99999999999999999999}\r\n", "[] 0", 0, &syntax},
		{"nothing", "a APPEND x (\\Seen)\r\n", "", 0, &syntax},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, asked := decoder(c.in+"b NOOP\r\n", AfterLogin())
			if c.fails == io.ErrUnexpectedEOF {
				d, asked = decoder(c.in, AfterLogin())
			}
			cmd, err := d.Next()
			if err != nil {
				t.Fatal(err)
			}
			a := cmd.Args.(*Append)
			got, err := drain(&a.reading)
			switch want := c.fails.(type) {
			case nil:
				if err != nil {
					t.Error(err)
				}
			case error:
				if err != want {
					t.Error(err)
				}
			default:
				if err == nil || !errors.As(err, want) {
					t.Errorf("%v", err)
				}
			}
			if got != c.want || *asked != c.asked {
				t.Errorf("asked %d, got\n%s", *asked, got)
			}
			if c.fails == io.ErrUnexpectedEOF {
				return
			}
			var fatal *FatalError
			if err := a.Refuse(1 << 20); errors.As(err, &fatal) {
				return // nobody reads on through 9,000 literals
			} else if err != nil {
				t.Error(err)
			}
			if next, err := d.Next(); next.Tag != "b" {
				t.Error("then", next, err)
			}
		})
	}
}

// TestRefuse: what was announced is got over, whatever of it was read.
func TestRefuse(t *testing.T) {
	for _, c := range []struct {
		in    string
		fatal bool
	}{
		{"a APPEND x {5}\r\n", false},
		{"a APPEND x {5+}\r\nabcde\r\n", false},
		{"a APPEND x {5+}\r\nabcde {5+}\r\nabcde\r\n", false},
		{"a APPEND x {5+}\r\nabcde {7+}\r\nabcdefg\r\n", true},
		{"a APPEND x {5+}\r\nabcde {5}\r\n", false},
		{"a APPEND x CATENATE (URL x TEXT {5+}\r\nabcde URL x)\r\n", false},
		{"a APPEND x {50+}\r\n", true},
		{"a REPLACE 1 x {5+}\r\nabcde\r\n", false},
	} {
		for begun := range 4 {
			d, _ := decoder(c.in+"b NOOP\r\n", AfterLogin())
			cmd, err := d.Next()
			if err != nil {
				t.Fatal(err)
			}
			a, is := cmd.Args.(*Append)
			if !is {
				a = &cmd.Args.(*Replace).Append
			}
			if begun > 0 {
				a.Next()
			}
			if begun > 1 {
				if p, _ := a.Piece(); begun > 2 && p.Literal != nil && p.Literal.NonSync {
					p.Literal.Read(make([]byte, 1))
				}
			}
			var fatal *FatalError
			if err := a.Refuse(10); errors.As(err, &fatal) != c.fatal {
				t.Errorf("%q: %v", c.in, err)
			}
			if next, _ := d.Next(); !c.fatal && next.Tag != "b" {
				t.Errorf("%q, %d: then %v", c.in, begun, next)
			}
		}
	}
}

func TestLine(t *testing.T) {
	d, _ := decoder("DONE\r\n"+strings.Repeat("x", 100)+"\r\n", AfterLogin())
	if b, err := d.Line(10); string(b) != "DONE" || err != nil {
		t.Error(b, err)
	}
	var fatal *FatalError
	if _, err := d.Line(10); !errors.As(err, &fatal) {
		t.Error(err)
	}
}

// fuzzCommands checks what holds for all input: an end, and no command without
// a tag and a name.
func fuzzCommands(f *testing.F, l Limits) {
	for _, s := range []string{
		"a LOGIN {1+}\r\nx \"y\"\r\nb NOOP\r\n", "a SEARCH OR (NOT 1:*) BEFORE 1-Feb-1994\r\n", "a FETCH 1:*,5 (BODY.PEEK[1.HEADER.FIELDS (X)]<0.5>)\r\n",
		"a APPEND x (\\Seen) {3}\r\nabc\r\n", "a LIST (SUBSCRIBED) \"\" (\"%\" *) RETURN (STATUS (UIDNEXT))\r\n", "a UID STORE 4:* +FLAGS.SILENT (x)\r\n",
		"a UID SEARCH RETURN (SAVE PARTIAL -1:-9) FUZZY BODY x UID $\r\n", "a SORT RETURN (UPDATE) (REVERSE DATE) UTF-8 MODSEQ \"x\" all 1\r\n",
		"a SELECT x (QRESYNC (1 2 1:9 (1,3 2,8)))\r\n", "a UID FETCH $ (MODSEQ) (CHANGEDSINCE 1 VANISHED)\r\n", "a STORE 1 (UNCHANGEDSINCE 0) FLAGS ()\r\n",
		"a APPEND x (\\Seen) {1+}\r\na CATENATE (URL x TEXT ~{1+}\r\n\x00) UTF8 (~{1+}\r\na)\r\n", "a UID REPLACE * x {1+}\r\na\r\n",
		"a GENURLAUTH \"imap://u@h/x/;UID=1;URLAUTH=authuser\" INTERNAL\r\n", "a URLFETCH x (y BODYPARTSTRUCTURE BINARY)\r\n", "a RESETKEY x INTERNAL\r\n",
		"a THREAD REFS UTF-8 SAVEDON 1-Feb-1994\r\n", "a ESEARCH IN (mailboxes (a b) subtree-one c) RETURN (MIN) ALL\r\n", "a CANCELUPDATE \"x\"\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		d := NewDecoder(bufio.NewReaderSize(strings.NewReader(string(in)), 16), l, func() error { return nil })
		for n := 0; ; n++ {
			c, err := d.Next()
			var syntax *SyntaxError
			var limit *LimitError
			if err != nil && !errors.As(err, &syntax) && !errors.As(err, &limit) {
				return
			}
			if err == nil && (c.Tag == "" || c.Name == "") || n > len(in) {
				t.Fatalf("%q: command %d is %#v", in, n, c)
			}
			if a, ok := c.Args.(*Append); ok && err == nil {
				if _, err := drain(&a.reading); err != nil && a.Refuse(1<<10) != nil {
					return
				}
			}
			if r, ok := c.Args.(*Replace); ok && err == nil && r.Refuse(1<<10) != nil {
				return
			}
		}
	})
}

func FuzzCommandBeforeLogin(f *testing.F) { fuzzCommands(f, BeforeLogin()) }
func FuzzCommandAfterLogin(f *testing.F)  { fuzzCommands(f, AfterLogin()) }
