package deliver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"

	"facteur/internal/base/lookup"
	"facteur/internal/flow/route"
	"facteur/internal/mail/address"
	"facteur/internal/mail/aliases"
	"facteur/internal/mail/smtp"
	"facteur/internal/net/helper"
	"facteur/internal/net/program"
	"facteur/internal/store/queue"
)

const (
	// maxForward bounds a ~/.forward, in bytes.
	maxForward = 64 << 10
	// maxPassed is how many users one after the other may send a letter on.
	maxPassed = 10
)

// forward follows a user's ~/.forward; nil: the letter is for the mailbox. A file that
// others could have written, or that makes no sense, is not followed, as local(8) has it:
// the letter is better in the mailbox than anywhere else.
func (u *users) forward(ctx context.Context, x *letter, s *Users) *result {
	text, name, err := u.readForward(x, s.Delimiters)
	if err != nil {
		return mailboxTrouble(x.recipient, err)
	}
	list, err := aliases.ParseLines(text)
	if err == nil && len(list) > s.most() {
		err = fmt.Errorf("it names more than %d recipients", s.most())
	}
	if err != nil {
		u.distrust(x, name, err)
		return nil
	}
	if len(list) == 0 {
		return nil
	}
	return u.expanded(ctx, x, list, name, s)
}

func (s *Users) most() int {
	if s.Most <= 0 {
		return 1000
	}
	return s.Most
}

func (u *users) distrust(x *letter, name string, err error) {
	u.local.events.Emit(Trouble{ID: x.attempt.item.ID, What: "following " + name + " of " + x.account.Address + " (the mail goes into the mailbox)", Err: err})
}

// readForward reads ~/.forward+extension, or ~/.forward; "" if there is none, or none
// that may be followed. An error is one of the home.
func (u *users) readForward(x *letter, delimiters string) (text, name string, err error) {
	if u.homes == nil {
		return "", "", errNoUsers
	}
	home := u.homes.Home(servedAs(x.account.Unix))
	for _, name := range forwardNames(x, delimiters) {
		data, err := home.ReadOwn(path.Join(x.account.Unix.Home, name), maxForward)
		switch {
		case err == nil:
			return string(data), "~/" + name, nil
		case errors.Is(err, fs.ErrNotExist):
		case unfit(err):
			u.distrust(x, "~/"+name, err)
			return "", "", nil
		default:
			return "", "", err
		}
	}
	return "", "", nil
}

// unfit tells that a file is there and not to be followed; other errors are of the disk.
func unfit(err error) bool {
	for _, why := range []error{helper.ErrNotOwn, fs.ErrInvalid, fs.ErrPermission, syscall.ELOOP, syscall.EISDIR, syscall.ENXIO} {
		if errors.Is(err, why) {
			return true
		}
	}
	return false
}

// forwardNames are the files that are looked for.
func forwardNames(x *letter, delimiters string) []string {
	delimiter, extension := extensionOf(x, delimiters)
	if extension == "" || strings.Trim(extension, extensionBytes) != "" || strings.ContainsFunc(extension, func(c rune) bool { return !strings.ContainsRune(extensionBytes, c) }) {
		return []string{".forward"}
	}
	return []string{".forward" + delimiter + extension, ".forward"}
}

// extensionBytes may stand in the name of a file that a stranger chooses.
const extensionBytes = "abcdefghijklmnopqrstuvwxyz0123456789-_+=."

// extensionOf is what stands behind the user's name in the address.
func extensionOf(x *letter, delimiters string) (delimiter, extension string) {
	local := strings.ToLower(x.recipient.Address.Local)
	i := strings.IndexAny(local, delimiters)
	if i <= 0 || delimiters == "" {
		return "", ""
	}
	return local[i : i+1], local[i+1:]
}

// expanded puts those in the recipient's place whom a ~/.forward names.
func (u *users) expanded(ctx context.Context, x *letter, list []aliases.Value, name string, s *Users) *result {
	body, _, end := u.local.body(ctx, x)
	if end != nil {
		return end
	}
	body.Close()
	if passed(x.recipient, x.account) || len(x.recipient.Passed) >= maxPassed {
		return looped(x)
	}
	e := expander{users: u, x: x, seen: make(map[string]bool)}
	for _, v := range list {
		if err := e.add(ctx, v); err != nil {
			text := "following " + name + ": " + err.Error()
			return &result{recipient: x.recipient, reply: smtp.NewReply(451, "4.3.0", text), text: text}
		}
	}
	switch {
	case len(e.out) > s.most():
		u.distrust(x, name, fmt.Errorf("it leads to more than %d recipients", s.most()))
		return nil
	case len(e.out) == 0 && e.discarded:
		return &result{recipient: x.recipient, kind: queue.Delivered, reply: smtp.NewReply(250, "2.0.0", "discarded"), text: "delivered to file: /dev/null", relay: agentLocal}
	case len(e.out) == 0 || len(e.out) == 1 && e.keeps:
		return nil
	}
	if end := u.tooMany(ctx, x, len(e.out)); end != nil {
		return end
	}
	text := fmt.Sprintf("%s: sent on to %s", name, e.told())
	return &result{recipient: x.recipient, kind: queue.Delivered, reply: smtp.NewReply(250, "2.1.5", text), text: text, relay: agentLocal, forward: e.out}
}

// tooMany is the failure of a letter that would lead to more recipients than one item may.
// Those that are sent on at the same moment do not see each other.
func (u *users) tooMany(ctx context.Context, x *letter, n int) *result {
	had, err := u.local.clerk.queue.Forwarded(ctx, x.attempt.item.ID)
	switch {
	case err != nil:
		return refused(x, "4.3.0", "the queue can't be read: "+err.Error())
	case had+n-1 > queue.ForwardMax:
		text := fmt.Sprintf("mail forwarding loop: the message has been sent on to more than %d recipients", queue.ForwardMax)
		return &result{recipient: x.recipient, kind: queue.Failed, reply: smtp.NewReply(554, "5.4.6", text), text: text}
	}
	return nil
}

// expander gathers recipients, none twice.
type expander struct {
	users     *users
	x         *letter
	out       []queue.Recipient
	seen      map[string]bool
	keeps     bool // one of them is the mailbox itself
	discarded bool
}

func (e *expander) add(ctx context.Context, v aliases.Value) error {
	account, settings := e.x.account.Address, e.users.settings()
	switch {
	case v.Kind == aliases.Program && !settings.Commands, v.Kind == aliases.File && !settings.Files && v.Text != aliases.DevNull:
		e.users.distrust(e.x, fmt.Sprintf("%.100q in ~/.forward", v.Text), errors.New("not allowed by the settings"))
		e.own()
		return nil
	}
	switch v.Kind {
	case aliases.Program:
		e.put(route.Destination{Kind: route.Program, Address: e.x.recipient.Address, User: account, Text: v.Text})
	case aliases.File:
		if v.Text == aliases.DevNull {
			e.discarded = true
			return nil
		}
		e.put(route.Destination{Kind: route.File, Address: e.x.recipient.Address, User: account, Text: v.Text})
	case aliases.Include:
		e.users.distrust(e.x, "an entry of ~/.forward", errors.New(":include: is not followed there"))
		e.own()
	default:
		return e.address(ctx, v)
	}
	return nil
}

// address follows an address. What names the user himself is his mailbox.
func (e *expander) address(ctx context.Context, v aliases.Value) error {
	bare, text := !strings.Contains(v.Text, "@"), v.Text
	if bare {
		text += "@" + e.x.recipient.Address.Domain
	}
	to, err := address.Parse(text)
	if err != nil {
		e.users.distrust(e.x, fmt.Sprintf("%.100q in ~/.forward", v.Text), err)
		e.own()
		return nil
	}
	unix := e.x.account.Unix
	if bare && to.Local == unix.Name || to.Key() == e.x.account.Address {
		e.own()
		return nil
	}
	answer := e.users.expand(ctx, route.Question{Recipient: to, Sender: e.x.attempt.item.Sender})
	switch answer.State() {
	case lookup.TryAgain:
		return answer.Err()
	case lookup.NotFound:
		// Nobody has that mailbox: the sender hears of it.
		e.put(route.Destination{Kind: route.Refused, Address: to, Text: "5.1.1 unknown user: " + to.String()})
		return nil
	}
	for _, d := range answer.Value().Destinations {
		if d.Kind == route.Mailbox && whose(d.Account) == whose(e.x.account) {
			e.own()
			continue
		}
		d.Plain = d.Plain || v.Plain && d.Kind == route.Mailbox
		e.put(d)
	}
	return nil
}

// own keeps a copy.
func (e *expander) own() {
	e.keeps = true
	e.put(route.Destination{Kind: route.Mailbox, Address: e.x.recipient.Address, Account: e.x.account, Plain: true})
}

func (e *expander) put(d route.Destination) {
	was := e.x.recipient
	r := queue.Recipient{Address: d.Address, Original: was.Original, Route: d.String(), Sender: was.Sender, Owned: was.Owned,
		Notify: was.Notify, ORcpt: was.ORcpt, Passed: append(was.Passed[:len(was.Passed):len(was.Passed)], whose(e.x.account))}
	if d.Sender != nil {
		r.Sender, r.Owned = d.Sender, d.Owned
	}
	if d.Kind == route.Mailbox && d.Plain && d.Account.Address == e.x.account.Address {
		r.Passed, r.Folder = was.Passed, was.Folder // it does not leave
	}
	if d.Kind == route.Remote {
		r.Forwarder = was.Address
	}
	key := r.Route + " " + d.Address.Key()
	if !e.seen[key] {
		e.seen[key] = true
		e.out = append(e.out, r)
	}
}

// told is where it goes, for the log.
func (e *expander) told() string {
	var list []string
	for _, r := range e.out[:min(len(e.out), 10)] {
		text := r.Address.String()
		if hop, err := route.ParseHop(r.Route); err == nil && (hop.Kind == route.Program || hop.Kind == route.File) {
			text = program.Printable(hop.Name)
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}
