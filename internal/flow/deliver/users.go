package deliver

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/base/vfs"
	"facteur/internal/flow/route"
	"facteur/internal/mail/smtp"
	"facteur/internal/net/helper"
	"facteur/internal/net/program"
	"facteur/internal/store/directory"
	"facteur/internal/store/maildir"
	"facteur/internal/store/queue"
)

// Users is how mail is delivered to the Unix users of this machine, and what aliases may
// have run. Postfix's names stand behind.
type Users struct {
	// Forward: a user's ~/.forward is followed (forward_path).
	Forward bool
	// Command gets the mail of users instead of their Maildir; "" for none
	// (mailbox_command).
	Command string
	// Limit is how long a program may take; 0: 1000 s (command_time_limit).
	Limit time.Duration
	// Delimiters are what may stand between a user and an extension
	// (recipient_delimiter).
	Delimiters string
	// DefaultUser runs the programs of aliases and owns their files (default_privs).
	DefaultUser string
	// Commands and Files: they may stand in a ~/.forward (allow_mail_to_commands,
	// allow_mail_to_files).
	Commands, Files bool
	// Most is how many recipients one letter may lead to (1000).
	Most int
}

// users delivers to Unix users: into their Maildirs, to their programs and files, and on to
// where they send it. Each has a lane of his own, so that one whose home does not answer
// holds up nobody else (LOC-005); all his letters of that time are one batch.
type users struct {
	local    *local
	homes    *helper.Staff
	settings func() Users
	expand   func(context.Context, route.Question) lookup.Answer[route.Expansion]

	mail, errands *lanes
	turns         chan struct{}
	strays        program.Strays
	// ctx ends when programs are to be broken off: later than that of the lanes, with
	// which no more of them are begun.
	ctx context.Context
}

// usersAtOnce is how many are delivered to at a time, and longAfter is when one who takes
// long does not count any more. The processes are bounded by the Staff, the letters by
// their places.
const (
	usersAtOnce = 20
	longAfter   = 2 * time.Second
)

func newUsers(l *local, h House) *users {
	u := &users{local: l, homes: h.Homes, settings: h.Users, expand: h.Expand, turns: make(chan struct{}, usersAtOnce), ctx: context.Background()}
	if u.settings == nil {
		u.settings = func() Users { return Users{} }
	}
	u.mail, u.errands = newLanes(u.deliver), newLanes(u.runAll)
	return u
}

// start makes it ready. Programs are broken off when ctx ends.
func (u *users) start(ctx context.Context) { u.ctx = ctx }

// isStopped tells that a result is none: what came before its end was the word to stop.
func (u *users) isStopped(r *result) bool { return u.ctx.Err() != nil && r.kind == queue.Deferred }

func (u *users) close() {
	u.mail.close()
	u.errands.close()
}

func laneOfUser(x *directory.Unix) lane { return lane{volume: "user " + x.Name} }

// add puts a letter in the lane of its user.
func (u *users) add(ctx context.Context, x *letter) { u.mail.add(ctx, laneOfUser(x.account.Unix), x) }

// files are those of a Unix user.
func (u *users) files(a directory.Account) vfs.FS {
	if u.homes == nil {
		return nowhereFS{}
	}
	return u.homes.Home(servedAs(a.Unix))
}

func servedAs(x *directory.Unix) helper.User {
	return helper.User{UID: x.UID, Name: x.Name, Home: x.Home}
}

// turn is a place among those who are delivered to, for as long as that is not slow.
func (u *users) turn() (leave func()) {
	u.turns <- struct{}{}
	given := time.AfterFunc(longAfter, func() { <-u.turns })
	return func() {
		if given.Stop() {
			<-u.turns
		}
	}
}

// deliver takes the letters of one user to where they go.
func (u *users) deliver(ctx context.Context, letters []*letter) {
	defer u.turn()()
	whole, l := context.WithoutCancel(ctx), u.local
	c, dirs := &carrier{home: true}, make(map[string]maildir.Dir)
	var staged []*letter
	for _, x := range letters {
		if ctx.Err() != nil {
			return // the leases end with this process
		}
		var end *result
		if err := guard(func() { end = u.place(whole, c, x, dirs, len(letters) <= maildir.Few) }); err != nil {
			l.events.Emit(Trouble{ID: x.attempt.item.ID, What: "delivering", Err: err})
			end = &x.attempt.only(x.recipient).crashed()[0]
		}
		if end != nil && u.isStopped(end) {
			continue
		}
		if end != nil {
			end.agent = agentLocal
			l.giveBack(ctx, x.attempt, *end)
			continue
		}
		x.attempt.connected = time.Now()
		staged = append(staged, x)
	}
	for len(staged) > 0 {
		n := min(len(staged), batchMax)
		l.deliverStaged(ctx, c, staged[:n:n])
		staged = staged[n:]
	}
}

// place does what local(8) does: the ~/.forward, the command of the settings, the
// Maildir. Without a result the letter is in tmp of that.
func (u *users) place(ctx context.Context, c *carrier, x *letter, dirs map[string]maildir.Dir, few bool) *result {
	settings := u.settings()
	if settings.Forward && !x.attempt.hop.Plain {
		if r := u.forward(ctx, x, &settings); r != nil {
			return r
		}
	}
	if settings.Command != "" {
		return u.run(ctx, x, x.account.Unix, settings.Command, &settings)
	}
	return u.local.stage(ctx, c, x, dirs, few)
}

// homeTrouble is the reply for what is wrong with a user's home; nil for other errors.
func homeTrouble(err error) *smtp.Reply {
	switch {
	case errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return smtp.NewReply(452, "4.2.2", "mailbox full: the user's disk quota is used up")
	case errors.Is(err, syscall.ENOSPC):
		return smtp.NewReply(452, "4.3.1", "the file system of the mailbox is full")
	case errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EIO), errors.Is(err, syscall.ESTALE):
		return smtp.NewReply(451, "4.3.0", "the file system of the mailbox is out of order")
	case errors.Is(err, helper.ErrHangs):
		return smtp.NewReply(451, "4.2.1", "mailbox not reachable: the user's files do not answer")
	case errors.Is(err, helper.ErrHome), errors.Is(err, helper.ErrIdentity), errors.Is(err, helper.ErrNoRoot):
		return smtp.NewReply(451, "4.2.1", "mailbox not available now")
	case errors.Is(err, helper.ErrBroken), errors.Is(err, helper.ErrBusy):
		return smtp.NewReply(451, "4.3.2", "mailbox not available just now")
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, maildir.ErrNoMaildir):
		return smtp.NewReply(451, "4.2.0", "the mailbox is no Maildir: an mbox is not delivered to")
	}
	return nil
}

// looped is the failure of a letter that has been where it goes before.
func looped(x *letter) *result {
	return &result{recipient: x.recipient, kind: queue.Failed, reply: smtp.NewReply(554, "5.4.6", "mail forwarding loop"),
		text: "mail forwarding loop for " + x.recipient.Address.String() + ": the message has been delivered to this mailbox before"}
}

// body opens the message of a letter. It has not been at its recipient's before.
func (l *local) body(ctx context.Context, x *letter) (r io.ReadSeekCloser, size int64, end *result) {
	body, err := l.clerk.queue.Body(ctx, x.attempt.item)
	if err == nil {
		r, err = body.Open()
	}
	if err != nil {
		return nil, 0, l.unread(x, err)
	}
	loops, err := hasArrived(r, x.recipient.Address)
	if err == nil && !loops {
		return r, body.Size(), nil
	}
	r.Close()
	if loops {
		return nil, 0, looped(x)
	}
	return nil, 0, l.unread(x, err)
}

func (l *local) unread(x *letter, err error) *result {
	if errors.Is(err, queue.ErrDamaged) {
		return &x.attempt.only(x.recipient).unreadable(err)[0]
	}
	return &result{recipient: x.recipient, reply: ours("message can't be read"), text: "message can't be read: " + err.Error()}
}

// passed tells whether somebody has sent a letter on before, by his account in whatever
// domain.
func passed(r queue.Recipient, account directory.Account) bool {
	return slices.ContainsFunc(r.Passed, func(name string) bool {
		return strings.EqualFold(name, account.Address) || strings.EqualFold(name, whose(account))
	})
}

// whose names the person behind an account: a Unix user has one in each local domain, and
// one home.
func whose(account directory.Account) string {
	if account.Unix != nil {
		return account.Unix.Name
	}
	return account.Address
}

// nowhereFS is where the files of Unix users are for a server that serves none.
type nowhereFS struct{ vfs.OS }

var errNoUsers = &fs.PathError{Op: "open", Path: "home", Err: helper.ErrNoRoot}

// Stat implements vfs.FS.
func (nowhereFS) Stat(string) (vfs.Info, error) { return vfs.Info{}, errNoUsers }
