package imap

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseURL(t *testing.T) {
	token := "91354a473744909de610943775f92038"
	for text, want := range map[string]*URL{
		"imap://minbari.example.org/gray-council;UIDVALIDITY=385759045/;UID=20/;PARTIAL=0.1024": {Host: "minbari.example.org",
			Mailbox: "gray-council", UIDValidity: 385759045, UID: 20, Partial: &Partial{0, 1024}},
		"imap://michael@example.org/INBOX/;UID=20/;SECTION=1.2": {Host: "example.org", User: "michael", Mailbox: "INBOX", UID: 20,
			Section: Section{Path: []uint32{1, 2}}},
		"imap://m%C3%BCnch;AUTH=*@EXAMPLE.org:1143/%E3%81%82%2Fb/;uid=7": {Host: "example.org", Port: 1143, User: "münch", Mailbox: "あ/b", UID: 7},
		"/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER": {Mailbox: "Drafts", UIDValidity: 385759045, UID: 20,
			Section: Section{Text: SectionHeader}},
		";UID=20/;section=1.MIME": {UID: 20, Section: Section{Path: []uint32{1}, Text: SectionMIME}},
		"/a/b/;UID=1":             {Mailbox: "a/b", UID: 1},
		"imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred:internal:" + token: {Host: "example.com", User: "joe",
			Mailbox: "INBOX", UID: 20, Section: Section{Path: []uint32{1, 2}}, Access: AccessSubmit, AccessUser: "fred", Mechanism: "INTERNAL",
			Token: token, Rump: "imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred"},
		"imap://joe@example.com/INBOX/;uid=20;expire=2005-04-07T10:00:00Z;urlauth=authuser": {Host: "example.com", User: "joe",
			Mailbox: "INBOX", UID: 20, Access: AccessAuth, Expire: time.Date(2005, 4, 7, 10, 0, 0, 0, time.UTC),
			Rump: "imap://joe@example.com/INBOX/;uid=20;expire=2005-04-07T10:00:00Z;urlauth=authuser"},
	} {
		got, err := ParseURL(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %+v %v\nwant %+v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "/", "imap://", "imap://h", "imap://h/", "imap://h/INBOX", "imap://h/;UID=1", "INBOX/;UID=1", "/INBOX;UID=1", "/INBOX/;UID=0",
		"/INBOX/;UID=4294967296", "/INBOX/;UID=1/;UID=2", "/INBOX/;UID=1/;SECTION=", "/INBOX/;UID=1/;SECTION=1.MIME.2", "/INBOX/;UID=1;SECTION=1",
		"/INBOX/;UID=1/;PARTIAL=1.0", "/INBOX/;UID=1/;PARTIAL=99999999999999999999", "/a%0d%0a/;UID=1", "/a%zz/;UID=1", "/a%ff/;UID=1", "/a b/;UID=1",
		"/INBOX/;UID=1;URLAUTH=authuser", "imap://h/INBOX/;UID=1;URLAUTH=authuser", "imap://u@h/INBOX/;UID=1;URLAUTH=user+",
		"imap://u@h/INBOX/;UID=1;URLAUTH=anonymous+x", "imap://u@h/INBOX/;UID=1;URLAUTH=user+x:internal:abc", "imap://u@h/INBOX/;UID=1;URLAUTH=x",
		"imap://u@h/INBOX/;UID=1;EXPIRE=2005-04-07T10:00:00Z", "imap://u@h/INBOX/;UID=1;EXPIRE=soon;URLAUTH=authuser", "imap://u@h:0/INBOX/;UID=1",
		"imap://u@h/INBOX/;UID=1;URLAUTH=authuser;EXPIRE=2005-04-07T10:00:00Z", "http://h/INBOX/;UID=1", "/" + strings.Repeat("a", maxURL) + "/;UID=1",
	} {
		if u, err := ParseURL(text); err == nil {
			t.Errorf("%s is taken: %+v", text, u)
		}
	}
}

func FuzzURL(f *testing.F) {
	for _, s := range []string{"imap://joe@example.com:1/INBOX;UIDVALIDITY=9/;uid=20/;section=1.2.MIME/;partial=1.2;expire=2005-04-07T10:00:00Z;urlauth=user+a%20b:internal:91354a473744909de610943775f92038",
		"/a/;UID=1", ";UID=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := ParseURL(text)
		if err != nil {
			return
		}
		if u.UID == 0 || strings.ContainsAny(u.Mailbox+u.User+u.AccessUser+u.Host, "\x00\r\n") {
			t.Fatalf("%q: %+v", text, u)
		}
		if u.Access != AccessNone && !strings.HasPrefix(text, u.Rump) {
			t.Fatalf("%q: rump %q", text, u.Rump)
		}
	})
}
