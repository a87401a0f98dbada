package imapd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/vfs"
	"facteur/internal/store/namespace"
	"facteur/internal/store/urlauth"
)

// owner finds alice, for URLs.
func (h *house) ownerOf(ctx context.Context, name string) (*namespace.Space, error) {
	if !strings.EqualFold(name, h.owner.Address) {
		return nil, urlauth.ErrNotThere
	}
	own, err := h.store.Open(ctx, h.owner)
	if err != nil {
		return nil, err
	}
	return namespace.Alone(own, h.owner.Address), nil
}

const (
	aliceURL = "imap://alice%40example.org@mail.example.org/INBOX/;UID=1"
	post     = "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\nContent-Type: image/png\r\n" +
		"Content-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--b--\r\n"
)

var signedURL = regexp.MustCompile(`"(imap://[^"]*)"`)

// sign gives the URL with its token.
func (c *client) sign(url string) string {
	c.t.Helper()
	m := signedURL.FindStringSubmatch(c.want("g GENURLAUTH \""+url+"\" INTERNAL", "g OK"))
	if m == nil {
		c.t.Fatalf("%s is not signed", url)
	}
	return m[1]
}

func withURLs(t *testing.T) *house {
	var h *house
	h = open(t, func(c *Config) {
		c.URLs = &urlauth.Desk{FS: vfs.OS{}, Hostname: c.Hostname, Owner: func(ctx context.Context, name string) (*namespace.Space, error) {
			return h.ownerOf(ctx, name)
		}}
	})
	return h
}

func TestURLAuth(t *testing.T) {
	h := withURLs(t)
	c := h.user(t)
	c.do(fmt.Sprintf("a APPEND INBOX {%d+}\r\n%s", len(post), post))
	whole := c.sign(aliceURL + ";URLAUTH=authuser")
	part := c.sign(aliceURL + "/;SECTION=1;EXPIRE=2999-01-01T00:00:00Z;URLAUTH=user+alice@example.org")
	image := c.sign(aliceURL + "/;SECTION=2;URLAUTH=authuser")
	submit := c.sign(aliceURL + ";URLAUTH=submit+alice@example.org")
	past := c.sign(aliceURL + ";EXPIRE=2001-01-01T00:00:00Z;URLAUTH=authuser")
	other := c.sign(aliceURL + ";URLAUTH=user+bob@example.org")

	t.Run("RFC 4467 §7", func(t *testing.T) {
		c.want("b URLFETCH \""+part+"\"", ";URLAUTH=user+alice@example.org:INTERNAL:")
		c.want("b URLFETCH \""+part+"\"", " {5}\nhello\nb OK")
		c.want("b URLFETCH \""+whole+"\"", fmt.Sprintf(" {%d}\nSubject: x\n", len(post)))
	})
	t.Run("RFC 5524 §3", func(t *testing.T) {
		c.want("b URLFETCH (\""+image+"\" BODYPARTSTRUCTURE BINARY)", "(BODYPARTSTRUCTURE (\"image\" \"png\"")
		c.want("b URLFETCH (\""+image+"\" BINARY)", "(BINARY ~{3}\n\x00\x01\x02)\nb OK")
		c.want("b URLFETCH (\""+image+"\" BODY)", "(BODY {4}\nAAEC)\nb OK")
	})
	for name, url := range map[string]string{
		"expired": past, "for another": other, "for submission": submit, "no proof": aliceURL + ";URLAUTH=authuser",
		"another UID":      strings.Replace(whole, "UID=1", "UID=2", 1),
		"another part":     strings.Replace(part, "SECTION=1", "SECTION=2", 1),
		"another user":     strings.Replace(other, "user+bob", "user+alice", 1),
		"another time":     strings.Replace(past, "2001", "2999", 1),
		"another mailbox":  strings.Replace(whole, "INBOX", "Sent", 1),
		"another server":   strings.Replace(whole, "mail.example.org", "mail.example.net", 1),
		"another owner":    strings.Replace(whole, "alice%40", "bob%40", 1),
		"another proof":    whole[:len(whole)-1] + map[bool]string{true: "1", false: "0"}[strings.HasSuffix(whole, "0")],
		"not a URL at all": "x",
	} {
		t.Run("refused: "+name, func(t *testing.T) { c.want("r URLFETCH \""+url+"\"", "NIL\nr OK") })
	}
	for _, url := range []string{aliceURL, aliceURL + ";URLAUTH=anonymous", strings.Replace(aliceURL, "alice", "bob", 1) + ";URLAUTH=authuser",
		strings.Replace(aliceURL, "INBOX", "None", 1) + ";URLAUTH=authuser", whole} {
		if got := c.do("s GENURLAUTH \"" + url + "\" INTERNAL"); !strings.HasPrefix(got, "s NO") {
			t.Errorf("%s: %s", url, got)
		}
	}
	c.want("s GENURLAUTH \""+aliceURL+";URLAUTH=authuser\" XSAMPLE", "s NO [URLMECH INTERNAL]")
	t.Run("the key", func(t *testing.T) {
		keys, err := filepath.Glob(filepath.Join(h.owner.Home, "urlauth", "*"))
		if err != nil || len(keys) != 1 {
			t.Fatal(keys, err)
		}
		if info, err := os.Stat(keys[0]); err != nil || info.Mode().Perm() != 0o600 {
			t.Error(info.Mode(), err)
		}
	})
	t.Run("RESETKEY", func(t *testing.T) {
		c.want("k RESETKEY Sent", "k OK [URLMECH INTERNAL]")
		c.want("k URLFETCH \""+whole+"\"", "{")
		c.want("k RESETKEY INBOX INTERNAL", "k OK")
		c.want("k URLFETCH \""+whole+"\"", "NIL\nk OK")
		again := c.sign(aliceURL + ";URLAUTH=authuser")
		if again == whole {
			t.Error("the same key again")
		}
		c.want("k RESETKEY", "k OK")
		c.want("k URLFETCH \""+again+"\"", "NIL\nk OK")
	})
}

// TestCatenate puts messages together from others (RFC 4469), and nothing where
// anything is wrong (ATTACKS IMAP-020).
func TestCatenate(t *testing.T) {
	h := open(t, nil)
	c := h.user(t)
	c.do(fmt.Sprintf("a APPEND INBOX {%d+}\r\n%s", len(post), post))
	validity := regexp.MustCompile(`UIDVALIDITY (\d+)`).FindStringSubmatch(c.do("a STATUS INBOX (UIDVALIDITY)"))[1]
	inbox := "/INBOX;UIDVALIDITY=" + validity + "/;UID=1"
	t.Run("RFC 4469 §5", func(t *testing.T) {
		c.want("b APPEND Drafts (\\Draft) CATENATE (TEXT {12+}\r\nSubject: y\r\n URL \""+inbox+"/;SECTION=HEADER.FIELDS%20(Content-Type)\" TEXT {5+}\r\n--b\r\n URL \""+
			inbox+"/;SECTION=2.MIME\" URL \""+inbox+"/;SECTION=2\" TEXT {9+}\r\n\r\n--b--\r\n)", "b OK [APPENDUID ")
		c.do("b SELECT Drafts")
		got := c.want("b FETCH 1 (FLAGS BODY.PEEK[])", "FLAGS (\\Draft")
		if !strings.Contains(got, "Subject: y\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\nAAEC\n--b--\n") {
			t.Errorf("%q", got)
		}
	})
	for name, what := range map[string]string{
		"wrong validity":    "URL \"/INBOX;UIDVALIDITY=1/;UID=1\"",
		"no message":        "URL \"/INBOX/;UID=99\"",
		"no part":           "URL \"/INBOX/;UID=1/;SECTION=9\"",
		"no mailbox":        "URL /None/;UID=1",
		"another server":    "URL \"imap://elsewhere.example/INBOX/;UID=1\"",
		"another user":      "URL \"imap://bob@mail.example.org/INBOX/;UID=1\"",
		"no URL":            "URL x",
		"good, then bad":    "URL \"" + inbox + "\" URL x",
		"text, then bad":    "TEXT {3+}\r\nabc URL x",
		"bad, then literal": "URL x TEXT {3+}\r\nabc",
	} {
		t.Run("IMAP-020 "+name, func(t *testing.T) { c.want("c APPEND Trash CATENATE ("+what+")", "c NO [BADURL ") })
	}
	t.Run("IMAP-020 many times itself", func(t *testing.T) {
		c.want("d APPEND Trash CATENATE (TEXT {600000+}\r\n"+strings.Repeat("x", 600000)+" TEXT {600000}\r\n)", "d NO [TOOBIG]")
		c.do(fmt.Sprintf("d APPEND Sent {600000+}\r\n%s", strings.Repeat("y", 600000)))
		c.want("d APPEND Trash CATENATE (URL /Sent/;UID=1 URL /Sent/;UID=1)", "d NO [TOOBIG]")
		c.want("d APPEND Trash CATENATE ("+strings.Repeat("URL /INBOX/;UID=1 ", 1000)+"URL /INBOX/;UID=1)", "d NO [LIMIT]")
	})
	t.Run("IMAP-020 MULTIAPPEND is all or nothing", func(t *testing.T) {
		c.want("e APPEND Trash {3+}\r\nabc {0+}\r\n\r\n", "e NO [CANNOT]")
		c.want("e APPEND Trash {3+}\r\nabc {1048577}\r\n", "e NO [TOOBIG]")
		c.want("e APPEND Trash {3+}\r\nabc rubbish", "e BAD")
		c.want("e APPEND Trash {3+}\r\nabc CATENATE (URL x)", "e NO [BADURL")
		c.want("e STATUS Trash (MESSAGES)", "MESSAGES 0")
		gone := h.user(t)
		gone.send("f APPEND Trash {3+}\r\nabc {3+}\r\nab")
		gone.conn.Close()
		c.want("e APPEND Trash {3+}\r\nabc (\\Seen) {3+}\r\ndef", "e OK [APPENDUID ")
		c.want("e STATUS Trash (MESSAGES UIDNEXT)", "MESSAGES 2 UIDNEXT 3")
	})
	t.Run("IMAP-020 nothing is left", func(t *testing.T) {
		// What the client who went had sent goes with his session.
		for deadline := time.Now().Add(time.Minute); !strings.Contains(h.events.all(), "Disconnected"); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the client who went is still there")
			}
		}
		for _, folder := range []string{"", ".Trash"} {
			left, err := os.ReadDir(filepath.Join(h.owner.Home, "Maildir", folder, "tmp"))
			if err != nil || len(left) > 0 {
				t.Error("in tmp:", left, err)
			}
		}
	})
}
