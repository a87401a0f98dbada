package intake

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"

	"facteur/internal/flow/brake"
	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
)

// submitter is who sends, for counting; "" for those who are not counted.
func (p *Peer) submitter() string {
	switch {
	case p.Account != "":
		if a, err := address.Parse(p.Account); err == nil {
			return a.Key()
		}
		return p.Account
	case p.User != nil && p.User.UID != 0: // root's letters are the machine's own cries
		return fmt.Sprintf("uid:%d", p.User.UID)
	}
	return ""
}

// sender is who sends, for people.
func (p *Peer) sender() string {
	if p.Account == "" && p.User != nil {
		return p.User.String()
	}
	return p.Account
}

// String is the name, or the number where there is no name.
func (u *LocalUser) String() string {
	if u.Name != "" {
		return u.Name
	}
	return fmt.Sprintf("uid:%d", u.UID)
}

// counted is the sender as the brake knows him.
func (p *Peer) counted() brake.Who {
	return brake.Who{Name: p.submitter(), Shown: p.sender(), Addr: p.Addr, Host: p.Name}
}

// isCounted tells that what the peer sends passes the brake.
func (t *Transaction) isCounted() bool { return t.desk.brake != nil && t.peer.submitter() != "" }

// mayName refuses a recipient beyond what may be sent, while nothing is sent yet.
func (t *Transaction) mayName() *smtp.Reply {
	if !t.isCounted() {
		return nil
	}
	return t.comeLater(t.desk.brake.Early(t.peer.counted(), t.named+1))
}

func (t *Transaction) comeLater(text string) *smtp.Reply {
	if text == "" {
		return nil
	}
	return smtp.NewReply(450, "4.7.1", fmt.Sprintf("<%s>: Recipient address rejected: %s", t.peer.sender(), text))
}

// braked asks the brake about the message: it is counted, and passes, is held, or refused,
// as other sessions of the account were faster, or there is too much of it.
func (t *Transaction) braked(ctx context.Context) *smtp.Reply {
	if !t.isCounted() {
		return nil
	}
	d := t.desk.brake.Ask(ctx, brake.Letter{Who: t.peer.counted(), ID: t.id, Recipients: t.outside(), Count: max(t.named, 1), Text: t.textID()})
	if reply := t.comeLater(d.Later); reply != nil {
		return reply
	}
	if d.Hold != "" {
		t.hold = d.Hold
	}
	return nil
}

// outside are the recipients that were named, each once.
func (t *Transaction) outside() (list []address.Address) {
	for i := range t.recipients {
		r := &t.recipients[i]
		if !r.added && !r.lesson && (len(list) == 0 || list[len(list)-1] != r.original) {
			list = append(list, r.original)
		}
	}
	return list
}

// textMax is how much of a body is looked at to tell whether it is the same, in bytes.
const textMax = 64 << 10

// textID stands for the body of the message; zero where it can't be read.
func (t *Transaction) textID() (id [16]byte) {
	h := sha256.New()
	if n, err := io.Copy(h, io.LimitReader(t.openBody(), textMax)); err != nil || n == 0 {
		return id
	}
	return [16]byte(h.Sum(nil))
}
