package imapd

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// TestGoIMAP: a client that we did not write.
func TestGoIMAP(t *testing.T) {
	h := open(t, nil)
	heard := make(chan uint32, 10)
	c, err := imapclient.DialInsecure(h.addr, &imapclient.Options{UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Mailbox: func(d *imapclient.UnilateralDataMailbox) {
			if d.NumMessages != nil {
				heard <- *d.NumMessages
			}
		}}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(what, err)
		}
	}
	must("login", c.Login("alice", "secret").Wait())
	must("create", c.Create("Wörk", nil).Wait())
	must("subscribe", c.Subscribe("Wörk").Wait())
	list, err := c.List("", "*", &goimap.ListOptions{ReturnStatus: &goimap.StatusOptions{NumMessages: true}}).Collect()
	must("list", err)
	if len(list) < 2 || list[0].Mailbox != "INBOX" || list[0].Status == nil {
		t.Errorf("list: %+v", list)
	}
	body := "Subject: one\r\nFrom: Ann <ann@example.net>\r\n\r\nHello\r\n"
	for range 3 {
		a := c.Append("Wörk", int64(len(body)), &goimap.AppendOptions{Flags: []goimap.Flag{goimap.FlagFlagged, "$Label1"}, Time: time.Unix(1e9, 0)})
		_, err := io.WriteString(a, body)
		must("append", err)
		must("append", a.Close())
		d, err := a.Wait()
		must("append", err)
		if d.UID == 0 || d.UIDValidity == 0 {
			t.Errorf("no APPENDUID: %+v", d)
		}
	}
	sel, err := c.Select("Wörk", nil).Wait()
	must("select", err)
	if sel.NumMessages != 3 || sel.UIDNext != 4 {
		t.Errorf("select: %+v", sel)
	}
	section := &goimap.FetchItemBodySection{}
	all := goimap.SeqSet{}
	all.AddRange(1, 0)
	got, err := c.Fetch(all, &goimap.FetchOptions{UID: true, Flags: true, Envelope: true, InternalDate: true, RFC822Size: true,
		BodyStructure: &goimap.FetchItemBodyStructure{Extended: true}, BodySection: []*goimap.FetchItemBodySection{section}}).Collect()
	must("fetch", err)
	if len(got) != 3 || got[2].UID != 3 || got[2].Envelope.Subject != "one" || got[0].InternalDate.Unix() != 1e9 ||
		string(got[1].FindBodySection(section)) != body || got[0].BodyStructure.MediaType() != "text/plain" || got[0].RFC822Size != int64(len(body)) {
		t.Errorf("fetch: %+v", got[0])
	}
	found, err := c.UIDSearch(&goimap.SearchCriteria{Header: []goimap.SearchCriteriaHeaderField{{Key: "Subject", Value: "ONE"}},
		Flag: []goimap.Flag{goimap.FlagSeen}}, &goimap.SearchOptions{ReturnCount: true, ReturnAll: true}).Wait()
	must("search", err)
	if found.Count != 3 || fmt.Sprint(found.AllUIDs()) != "[1 2 3]" {
		t.Errorf("search: %+v", found)
	}
	copied, err := c.Copy(goimap.UIDSetNum(1, 3), "INBOX").Wait()
	must("copy", err)
	if copied.SourceUIDs.String() != "1,3" || copied.DestUIDs.String() != "1:2" {
		t.Errorf("copy: %+v", copied)
	}
	moved, err := c.Move(goimap.SeqSetNum(2), "INBOX").Wait()
	must("move", err)
	if moved.SourceUIDs.String() != "2" {
		t.Errorf("move: %+v", moved)
	}
	_, err = c.Store(goimap.UIDSetNum(1), &goimap.StoreFlags{Op: goimap.StoreFlagsAdd, Flags: []goimap.Flag{goimap.FlagDeleted}}, nil).Collect()
	must("store", err)
	gone, err := c.UIDExpunge(goimap.UIDSetNum(1, 3)).Collect()
	must("expunge", err)
	if fmt.Sprint(gone) != "[1]" {
		t.Errorf("expunge: %v", gone)
	}
	idle, err := c.Idle()
	must("idle", err)
	h.user(t).want("x APPEND W&APY-rk {8+}\r\na: b\r\n\r\n", "x OK")
	for n := uint32(0); n != 2; {
		select {
		case n = <-heard:
		case <-time.After(20 * time.Second):
			t.Fatal("IDLE is deaf")
		}
	}
	must("idle", idle.Close())
	must("idle", idle.Wait())
	must("rename", c.Rename("Wörk", "Old", nil).Wait())
	must("delete", c.Delete("Old").Wait())
	must("logout", c.Logout().Wait())
}

// TestBigLetter: a letter goes in and comes out byte for byte, and what is too
// large or over quota leaves nothing (ATTACKS IMAP-020).
func TestBigLetter(t *testing.T) {
	h := open(t, func(c *Config) { c.MaxMessage = 3 << 20 })
	h.owner.Quota.Bytes = 4 << 20
	c := h.user(t)
	body := "Subject: big\r\n\r\n" + strings.Repeat("0123456789abcdef 0123456789\r\n", 100_000)
	c.want(fmt.Sprintf("a APPEND INBOX {%d+}\r\n%s", len(body), body), "a OK [APPENDUID ")
	c.want("b SELECT INBOX", "* 1 EXISTS")
	c.send("c FETCH 1 BODY.PEEK[]\r\n")
	if l := c.line(); l != fmt.Sprintf("* 1 FETCH (BODY[] {%d}", len(body)) {
		t.Fatal(l)
	}
	got := make([]byte, len(body))
	if _, err := io.ReadFull(c.r, got); err != nil || string(got) != body {
		t.Fatal("INV-07: not the same bytes", err)
	}
	c.until("c")
	c.want(fmt.Sprintf("d APPEND INBOX {%d+}\r\n%s", len(body), body), "d NO [OVERQUOTA]")
	c.want(fmt.Sprintf("e APPEND INBOX {%d}", len(body)), "e NO [OVERQUOTA]")
	c.want(fmt.Sprintf("f APPEND INBOX {%d+}\r\n%s", 3<<20+1, strings.Repeat("x", 3<<20+1)), "f NO [TOOBIG]")
	c.want("g APPEND nowhere {3+}\r\nabc", "g NO [TRYCREATE]")
	c.want("h NOOP", "h OK")
	c.want(fmt.Sprintf("i APPEND INBOX {%d+}\r\n", 1<<40), "* BYE")

	cut := h.user(t)
	cut.send("a APPEND INBOX {1000+}\r\nSubject: half")
	cut.conn.Close()
	last := h.user(t)
	last.want("b STATUS INBOX (MESSAGES)", "MESSAGES 1)")
}
