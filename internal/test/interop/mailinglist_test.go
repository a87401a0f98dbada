package interop_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net/smtp"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/mail/arc"
	"facteur/internal/mail/authres"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/message"
	"facteur/internal/store/db"
	"facteur/internal/store/directory"
	"facteur/internal/store/reputation"
	. "facteur/internal/test/interop"
	"facteur/internal/test/sim"
)

// listServer is a small mailing list: it takes letters by SMTP, marks their subjects, adds a
// footer, signs, and sends them on to its one member under an envelope of its own.
type listServer struct {
	t       *testing.T
	name    string // its domain
	seals   bool   // it says by ARC what it found
	key     ed25519.PrivateKey
	member  string
	next    string // who takes mail for the member
	inbound *sim.Sink
	done    int // letters sent on
}

func newListServer(t *testing.T, name string, seals bool, key ed25519.PrivateKey, member, next string) *listServer {
	t.Helper()
	in, err := sim.StartSink("127.0.0.1:0", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.Close)
	return &listServer{t: t, name: name, seals: seals, key: key, member: member, next: next, inbound: in}
}

// post is a letter of an author's server to the list, which sends it on at once; it gives
// what the member's server answered.
func (l *listServer) post(author, subject string) string {
	l.t.Helper()
	letter := fmt.Sprintf("From: %s\r\nTo: talk@%s\r\nSubject: %s\r\nMessage-ID: <%s>\r\n\r\nFor Tuesday.\r\n", author, l.name, subject, postID(author, subject))
	if answer := hand(l.inbound.Addr().String(), author, "talk@"+l.name, l.signAs(domainOf(author), "author", letter)); answer != "250" {
		l.t.Fatal(answer)
	}
	l.done++
	taken := l.inbound.Await(l.done, StartWait)
	if len(taken) < l.done {
		l.t.Fatal("the list got nothing")
	}
	return hand(l.next, "talk-bounces@"+l.name, l.member, l.distribute(string(taken[l.done-1].Data)))
}

func postID(author, subject string) string {
	return strings.NewReplacer(" ", "-", "[", "", "]", "").Replace(subject) + "." + author
}

// distribute makes what goes to the members of what came.
func (l *listServer) distribute(letter string) string {
	header, body, _ := strings.Cut(letter, "\r\n\r\n")
	if !strings.Contains(header, "\r\nSubject: [talk]") {
		header = strings.Replace(header, "\r\nSubject: ", "\r\nSubject: [talk] ", 1)
	}
	body += "-- \r\nTo leave the list, write to talk-leave@" + l.name + "\r\n"
	out := l.signAs(l.name, "list", "List-Id: Talk <talk."+l.name+">\r\n"+header+"\r\n\r\n"+body)
	if l.seals {
		return l.seal(out)
	}
	return out
}

// seal puts a set on top that says that the author was right.
func (l *listServer) seal(letter string) string {
	header, body, _ := strings.Cut(letter, "\r\n\r\n")
	form, b := dkim.Form{Header: dkim.Relaxed, Body: dkim.Relaxed}, dkim.NewBody()
	digest := form.Wants(b)
	b.Write([]byte(body))
	h := message.Header(header + "\r\n\r\n")
	author := strings.TrimSpace(domainOf(h.Get("From")))
	found, err := authres.Parse("mx." + l.name + "; dkim=pass header.d=" + author + "; dmarc=pass header.from=" + author)
	if err != nil {
		l.t.Fatal(err)
	}
	set, err := arc.Seal(h, arc.None, found, b.Sum(digest), dkim.Key{Domain: l.name, Selector: "list", Private: l.key}, form, time.Now())
	if err != nil {
		l.t.Fatal(err)
	}
	return string(set) + letter
}

func domainOf(author string) string { return author[strings.LastIndexByte(author, '@')+1:] }

// signAs puts a signature of a domain on top of a letter.
func (l *listServer) signAs(domain, selector, letter string) string {
	return signLetter(l.t, letter, dkim.Key{Domain: domain, Selector: selector, Private: l.key}, dkim.Form{Header: dkim.Relaxed, Body: dkim.Relaxed})
}

// hand brings one letter to a server, in clear, and gives "250" or its refusal.
func hand(server, from, to, letter string) string {
	c, err := smtp.Dial(server)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	err = errors.Join(c.Mail(from), c.Rcpt(to))
	if err == nil {
		err = handText(c, letter)
	}
	if err != nil {
		return err.Error()
	}
	return "250"
}

func handText(c *smtp.Client, letter string) error {
	w, err := c.Data()
	if err != nil {
		return err
	}
	_, err = w.Write([]byte(letter))
	return errors.Join(err, w.Close())
}

// TestMailingList: row 173, AUT-017. A list that marks subjects and adds footers sends on what
// somebody wrote whose domain asks for rejection. It arrives when the list's seal is trusted, or
// when the list has worked for a while, and the journey says which it was.
func TestMailingList(t *testing.T) {
	t.Parallel()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	record := ` TXT "v=DKIM1; k=ed25519; p=` + base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey)) + "\"\n"
	zone := "_dmarc.author.test TXT \"v=DMARC1; p=reject\"\nauthor._domainkey.author.test" + record
	for _, list := range []string{"sealing.test", "plain.test"} {
		zone += list + " TXT \"v=spf1 ip4:127.0.0.1 -all\"\nlist._domainkey." + list + record
	}
	for i := range 12 {
		zone += fmt.Sprintf("author._domainkey.member%d.test", i) + record
	}
	world, err := sim.StartDNS("127.0.0.1:0", zone)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(world.Close)
	f := NewFacteur(t, Setup{Domains: []string{"example.net"}, Accounts: []string{"bob@example.net"}, Trusted: "192.0.2.1/32",
		Config: fmt.Sprintf("[dns]\nservers = [%q]\n[arc]\ntrusted_sealers = [\"sealing.test\"]\n", world.Addr())})
	f.Edit(`exempt = ["192.0.2.1/32"]`, `exempt = ["127.0.0.0/8"]`)
	f.Start()
	arrives := func(l *listServer, author, subject, mailbox, because string) {
		t.Helper()
		if answer := l.post(author, subject); answer != "250" {
			t.Fatalf("%s: %s", subject, answer)
		}
		WaitUntil(t, subject+" in "+mailbox, func() bool {
			for _, body := range DialIMAP(t, f.Addr("imap"), "bob@example.net").Bodies(mailbox) {
				if strings.Contains(string(body), "\nSubject: [talk] "+subject) && strings.Contains(string(body), "To leave the list") {
					return true
				}
			}
			return false
		})
		if told := f.Command("", "explain", postID(author, subject)); !strings.Contains(told, because) {
			t.Errorf("%s: no %q in\n%s", subject, because, told)
		}
	}
	sealing := newListServer(t, "sealing.test", true, key, "bob@example.net", f.Addr("smtp"))
	arrives(sealing, "anne@author.test", "sealed", "INBOX", "it was accepted nevertheless, because the trusted sealer sealing.test (ARC) vouches that it passed there.")

	// Nobody knows the other: what it brings is kept apart, and teaches nothing.
	plain := newListServer(t, "plain.test", false, key, "bob@example.net", f.Addr("smtp"))
	arrives(plain, "anne@author.test", "unknown", "Junk", "because it came by the list talk.plain.test and plain.test (DKIM) answers for it.")

	// People talk there for two weeks. Under answers, the footer is all that is new.
	for i := range 32 {
		if answer := plain.post(fmt.Sprintf("somebody@member%d.test", i%12), fmt.Sprintf("[talk] Re: %d", i)); answer != "250" {
			t.Fatal(answer)
		}
	}
	f.Stop()
	d, err := db.Open(filepath.Join(f.Data(), "facteur.db"), directory.Migrations(), reputation.Tables())
	if err != nil {
		t.Fatal(err)
	}
	err = d.Write(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec("UPDATE reputation_domain SET since = since - ?", 15*24*60*60)
		return err
	})
	if err := errors.Join(err, d.Close()); err != nil {
		t.Fatal(err)
	}
	f.Start()
	arrives(plain, "anne@author.test", "known", "INBOX", "it was accepted nevertheless, because plain.test (DKIM) has brought 32 good letters of others since")
}
