package deliver

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/flow/route"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dsn"
	"facteur/internal/mail/smtp"
	"facteur/internal/net/helper"
	"facteur/internal/net/program"
	"facteur/internal/store/directory"
	"facteur/internal/store/maildir"
	"facteur/internal/store/queue"
)

// addErrands puts an attempt for a program or a file in the lane of who is to run it: one
// program of each at a time.
func (u *users) addErrands(ctx context.Context, a *attempt) {
	for _, r := range a.item.Recipients {
		u.errands.add(ctx, lane{volume: "user " + a.hop.User}, &letter{attempt: a.only(r), recipient: r})
	}
}

// runAll runs the programs of one user, one after the other.
func (u *users) runAll(ctx context.Context, letters []*letter) {
	l := u.local
	for _, x := range letters {
		if ctx.Err() != nil {
			return
		}
		if !begin(l.clerk.queue, x.attempt, l.done) {
			continue
		}
		x.attempt.begun = time.Now()
		if late := l.clerk.overdue(x.attempt, x.attempt.begun); late != nil {
			l.giveBack(ctx, x.attempt, late[0])
			continue
		}
		var end *result
		if err := guard(func() { end = u.errand(ctx, x) }); err != nil {
			l.events.Emit(Trouble{ID: x.attempt.item.ID, What: "delivering", Err: err})
			end = &x.attempt.only(x.recipient).crashed()[0]
		}
		if end == nil || u.isStopped(end) {
			return // the leases end with this process
		}
		end.agent = agentLocal
		l.giveBack(context.WithoutCancel(ctx), x.attempt, *end)
	}
}

// errand gives a letter to the program, or puts it into the file, that its route names;
// nil: the word to stop came first. After it, what has begun may end.
func (u *users) errand(ctx context.Context, x *letter) *result {
	defer u.turn()()
	if ctx.Err() != nil {
		return nil
	}
	ctx = u.ctx
	hop, settings := x.attempt.hop, u.settings()
	var unix *directory.Unix
	if strings.Contains(hop.User, "@") {
		var end *result
		if unix, end = u.userOf(ctx, x, hop.User); end != nil {
			return end
		}
	}
	if hop.Kind == route.File {
		return u.file(ctx, x, unix, hop.Name, &settings)
	}
	return u.run(ctx, x, unix, hop.Name, &settings)
}

// userOf is the Unix user of an account, as he is now.
func (u *users) userOf(ctx context.Context, x *letter, account string) (*directory.Unix, *result) {
	name, err := address.Parse(account)
	if err != nil {
		return nil, refused(x, "5.3.5", "there is no account "+account)
	}
	answer := u.local.directory.Account(ctx, name)
	switch {
	case answer.State() == lookup.TryAgain:
		return nil, refused(x, "4.3.0", "directory look-up failed")
	case answer.State() == lookup.NotFound:
		return nil, refused(x, "5.1.1", "unknown user: "+account)
	case answer.Value().Unix == nil:
		return nil, refused(x, "4.3.5", account+" is no Unix user of this machine any more")
	}
	x.account = answer.Value()
	return x.account.Unix, nil
}

func refused(x *letter, status, text string) *result {
	code := 451
	if status[0] == '5' {
		code = 550
	}
	reply := smtp.NewReply(code, status, text)
	return &result{recipient: x.recipient, kind: judge(reply), reply: reply, text: text, relay: agentLocal}
}

// run gives a letter to a command line: as a Unix user, or as DefaultUser where unix is
// nil.
func (u *users) run(ctx context.Context, x *letter, unix *directory.Unix, line string, s *Users) *result {
	command := program.Words(line)
	if command == nil {
		return refused(x, "4.3.5", "mail system configuration error: an empty command")
	}
	return u.give(ctx, x, unix, helper.Job{Command: command, Flags: "DFRO"}, "command: "+program.Printable(line), s)
}

// file puts a letter into a file.
func (u *users) file(ctx context.Context, x *letter, unix *directory.Unix, path string, s *Users) *result {
	name := maildir.DeliveryName(x.attempt.item.ID.String(), x.recipient.N, x.attempt.item.Arrived)
	command, flags, end := helper.AppendCommand(path, name)
	return u.give(ctx, x, unix, helper.Job{Command: command, Flags: flags, End: end}, "file: "+program.Printable(path), s)
}

// give runs a program with a letter, and tells what came of it. It may take until the
// word to break off: one that was killed would run again, and deliver twice.
func (u *users) give(ctx context.Context, x *letter, unix *directory.Unix, j helper.Job, to string, s *Users) *result {
	body, size, end := u.local.body(ctx, x)
	if end != nil {
		return end
	}
	defer body.Close()
	x.attempt.connected = time.Now()
	j.Letter, j.Size = letterFor(x.attempt, []queue.Recipient{x.recipient}), size
	j.Env, j.Limit = environment(x, unix, s), s.Limit
	var o program.Outcome
	switch {
	case unix == nil:
		p, err := program.New(program.Settings{Name: agentLocal, Command: j.Command, Literal: true, Flags: j.Flags, End: j.End, User: cmp.Or(x.attempt.hop.User, s.DefaultUser),
			Env: j.Env, Limit: j.Limit, Strays: &u.strays})
		if err != nil {
			return refused(x, "4.3.5", "mail system configuration error: "+err.Error())
		}
		o = p.Run(u.ctx, j.Letter, body)
	case u.homes == nil:
		return mailboxTrouble(x.recipient, errNoUsers)
	default:
		o = u.homes.Run(u.ctx, servedAs(unix), j, body)
	}
	r := &result{recipient: x.recipient, kind: judge(o.Reply), reply: o.Reply, text: o.Reply.Text(), relay: agentLocal}
	if o.Delivered() {
		r.ended = dsn.Delivered
		if r.text = "delivered to " + to; o.Output != "" {
			r.text += " (" + o.Output + ")"
		}
	}
	return r
}

// environment is what local(8) tells a program, in words that mean nothing to a shell.
func environment(x *letter, unix *directory.Unix, s *Users) []string {
	to, origin := x.recipient.Address, &x.attempt.item.Origin
	_, extension := extensionOf(x, s.Delimiters)
	sender := x.attempt.item.Sender
	values := [][2]string{
		{"SENDER", plainText(sender)}, {"RECIPIENT", plainText(to)}, {"ORIGINAL_RECIPIENT", plainText(x.recipient.Original)},
		{"LOCAL", to.Local}, {"DOMAIN", to.Domain}, {"EXTENSION", extension},
		{"CLIENT_ADDRESS", origin.ClientAddr}, {"CLIENT_HOSTNAME", origin.ClientName}, {"CLIENT_HELO", origin.Helo},
		{"CLIENT_PROTOCOL", origin.Protocol}, {"SASL_USERNAME", origin.Account}, {"QUEUE_ID", x.attempt.item.ID.String()},
	}
	var env []string
	for _, v := range values {
		env = append(env, v[0]+"="+program.Tame(v[1]))
	}
	if unix != nil { // HOME is a path of the system's, and not of a stranger's
		env = append(env, "HOME="+unix.Home, "USER="+unix.Name, "LOGNAME="+unix.Name)
	}
	return env
}

func plainText(a address.Address) string {
	if a.Domain == "" {
		return a.Local
	}
	return fmt.Sprintf("%s@%s", a.Local, a.Domain)
}
