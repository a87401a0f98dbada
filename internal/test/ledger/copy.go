package ledger

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// Copy is one letter, or one recipient named in a notice, found somewhere.
type Copy struct {
	ID    string // "": not a letter of ours
	To    string // the recipient's address
	Place Place
	Where string // file, mailbox and UID, or connection: for the report
	Sum   [sha256.Size]byte
	Head  string // how an unknown thing begins
	// Epoch and Unanswered excuse a second remote copy: see Sink.
	Epoch      int
	Unanswered bool
}

// read makes the copies out of one stored message in the mailbox of owner: one
// letter, or one Bounced for each recipient that a notice names.
func read(stored []byte, owner, where string) []Copy {
	if copies := notice(stored, where); copies != nil {
		return copies
	}
	body := strip(canonical(stored))
	c := Copy{ID: idOf(header(body)), To: owner, Place: Local, Where: where, Sum: sha256.Sum256(body)}
	if c.ID == "" {
		c.Head = fmt.Sprintf("%d bytes, %.80q", len(stored), stored)
	}
	return []Copy{c}
}

// Taken makes the copy of a letter that a mail host took for a recipient.
func Taken(data []byte, to, where string) Copy {
	body := strip(data)
	return Copy{ID: idOf(header(body)), To: to, Place: Remote, Where: where, Sum: sha256.Sum256(body)}
}

// Waiting makes the copies of a message that is in the queue for a recipient: of a notice,
// one for each recipient whom it names.
func Waiting(data []byte, to, where string) []Copy {
	copies := notice(data, where)
	if copies == nil {
		copies = []Copy{Taken(data, to, where)}
	}
	for i := range copies {
		copies[i].Place = Queued
	}
	return copies
}

func header(body []byte) []byte {
	if head, _, found := strings.Cut(string(body), "\r\n\r\n"); found {
		return []byte(head + "\r\n")
	}
	return body
}

var (
	reportType  = regexp.MustCompile(`(?is)multipart/report.*report-type="?delivery-status`)
	statusGroup = regexp.MustCompile(`(?im)^Final-Recipient: *rfc822; *<?([^>\s]+)>?\s*$`)
	action      = regexp.MustCompile(`(?im)^Action: *failed\s*$`)
)

// notice reads a delivery status notification (RFC 3464). It is nil for
// anything else; a notice of delay names nobody.
func notice(stored []byte, where string) []Copy {
	m, err := mail.ReadMessage(strings.NewReader(string(stored)))
	if err != nil || !reportType.MatchString(m.Header.Get("Content-Type")) {
		return nil
	}
	copies := []Copy{}
	text := strings.ReplaceAll(string(stored), "\r\n", "\n")
	for group := range strings.SplitSeq(text, "\n\n") {
		to := statusGroup.FindStringSubmatch(group)
		if to != nil && action.MatchString(group) {
			copies = append(copies, Copy{ID: idOf(stored), To: to[1], Place: Bounced, Where: where})
		}
	}
	return copies
}

// Maildir reads a Maildir++ from the disk: new and cur of INBOX and of every
// folder, never tmp.
func Maildir(root, owner string) ([]Copy, error) {
	folders, err := filepath.Glob(filepath.Join(root, ".?*"))
	if err != nil {
		return nil, err
	}
	var copies []Copy
	for _, folder := range append(folders, root) {
		for _, sub := range []string{"new", "cur"} {
			found, err := readDir(filepath.Join(folder, sub), owner)
			if err != nil {
				return nil, err
			}
			copies = append(copies, found...)
		}
	}
	return copies, nil
}

func readDir(dir, owner string) ([]Copy, error) {
	files, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil, nil // no letter came here yet
	}
	if err != nil {
		return nil, err
	}
	var copies []Copy
	for _, file := range files {
		path := filepath.Join(dir, file.Name())
		stored, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		copies = append(copies, read(stored, owner, path)...)
	}
	return copies, nil
}

// IMAP reads every mailbox of an account through the server.
func IMAP(addr, user, password string) (copies []Copy, err error) {
	c, err := imapclient.DialInsecure(addr, nil)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.Login(user, password).Wait(); err != nil {
		return nil, err
	}
	boxes, err := c.List("", "*", nil).Collect()
	if err != nil {
		return nil, err
	}
	for _, box := range boxes {
		found, err := readMailbox(c, box.Mailbox, user)
		if err != nil {
			return nil, fmt.Errorf("mailbox %s: %w", box.Mailbox, err)
		}
		copies = append(copies, found...)
	}
	return copies, c.Logout().Wait()
}

func readMailbox(c *imapclient.Client, name, owner string) (copies []Copy, err error) {
	data, err := c.Select(name, &imap.SelectOptions{ReadOnly: true}).Wait()
	if err != nil || data.NumMessages == 0 {
		return nil, err
	}
	all := imap.SeqSet{{Start: 1, Stop: 0}}
	fetch := c.Fetch(all, &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{{Peek: true}}})
	defer fetch.Close()
	for message := fetch.Next(); message != nil; message = fetch.Next() {
		body, uid, err := readBody(message)
		if err != nil {
			return nil, err
		}
		copies = append(copies, read(body, owner, fmt.Sprintf("%s UID %d", name, uid))...)
	}
	return copies, fetch.Close()
}

func readBody(message *imapclient.FetchMessageData) (body []byte, uid imap.UID, err error) {
	for item := message.Next(); item != nil; item = message.Next() {
		switch item := item.(type) {
		case imapclient.FetchItemDataUID:
			uid = item.UID
		case imapclient.FetchItemDataBodySection:
			if body, err = io.ReadAll(item.Literal); err != nil {
				return nil, 0, err
			}
		}
	}
	return body, uid, nil
}
