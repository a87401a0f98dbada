package deliver

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/base/vfs"
	"facteur/internal/flow/bounce"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dsn"
	"facteur/internal/mail/smtp"
	"facteur/internal/net/helper"
	"facteur/internal/store/directory"
	"facteur/internal/store/maildir"
	"facteur/internal/store/queue"
)

// local puts letters into Maildirs, many at a time: all are written, made durable
// by one call, noted in the queue as landing by one transaction, and renamed. See
// package maildir for why this delivers exactly once.
type local struct {
	fs        vfs.FS
	directory *directory.Directory
	notify    func(to directory.Account, mailbox string, bytes int64)
	folder    func(owner directory.Account, folder string) (string, maildir.Dir)
	clerk     *clerk
	events    event.Sink
	// done gives back the places of n recipients that are no longer under way.
	done func(a *attempt, n int)

	in     chan *attempt
	landed chan *letter
	// landing renames again what could not be, finishing ends what has landed.
	landing, finishing *lanes

	users    *users
	roster   roster
	volumes  *volumes
	device   uint64 // of the queue
	patience time.Duration
}

// letter is one recipient's copy.
type letter struct {
	attempt   *attempt
	recipient queue.Recipient
	account   directory.Account
	delivery  maildir.Delivery
	size      maildir.Size
	// folder is the name of the mailbox that it has landed in, "" for INBOX.
	folder string
	// ended: no other carrier may take it over; its carrier's mu guards it.
	ended bool
}

const (
	// carriers is how many batches are under way at a time: while one waits for
	// the disk, the other writes.
	carriers = 2
	// batchMax bounds a batch, and so how long its first letter waits.
	batchMax = 256
)

func newLocal(h House, c *clerk, done func(*attempt, int)) *local {
	l := &local{
		fs: h.FS, directory: h.Directory, notify: h.Notify, folder: h.Folder, clerk: c, events: h.Events, done: done,
		in: make(chan *attempt, activeMax), landed: make(chan *letter, finishMax),
		volumes: newVolumes(h.Queue.Dir(), vfs.Mounts), patience: patience,
	}
	if info, err := h.FS.Stat(h.Queue.Dir()); err == nil {
		l.device = info.Device
	}
	l.landing, l.finishing = newLanes(l.landAll), newLanes(l.remove)
	l.users = newUsers(l, h)
	return l
}

// run delivers until ctx ends, and what was begun is ended; but nobody waits for a file
// system that does not answer.
func (l *local) run(ctx context.Context) {
	ended := make(chan struct{})
	for range carriers {
		l.employ(ctx)
	}
	go l.watch(ctx, ended)
	l.finish(ctx)
	go func() {
		defer close(ended)
		l.roster.wg.Wait()
		l.users.close()
		l.landing.close()
		l.finishing.close()
	}()
	select {
	case <-ended:
	case <-time.After(2 * l.patience):
	}
}

func (l *local) carry(ctx context.Context, c *carrier) {
	for !c.isAside() {
		batch := gather(ctx, l.in, batchMax)
		if batch == nil {
			return
		}
		l.deliver(ctx, c, batch)
	}
}

// gather waits for one and takes along what else is there; nil when ctx ends.
func gather[T any](ctx context.Context, in <-chan T, limit int) []T {
	var batch []T
	select {
	case x := <-in:
		batch = append(batch, x)
	case <-ctx.Done():
		return nil
	}
	for len(batch) < limit {
		select {
		case x := <-in:
			batch = append(batch, x)
		default:
			return batch
		}
	}
	return batch
}

// deliver takes a batch through the steps of package maildir.
func (l *local) deliver(ctx context.Context, c *carrier, batch []*attempt) {
	load := l.unpack(ctx, batch)
	c.take(load)
	l.deliverStaged(ctx, c, l.stageAll(ctx, c, load))
}

// unpack gives the letters of a batch, but those that nobody wants any more.
func (l *local) unpack(ctx context.Context, batch []*attempt) (load []*letter) {
	now := time.Now()
	for _, a := range batch {
		if !begin(l.clerk.queue, a, l.done) {
			continue
		}
		a.begun = now
		if late := l.clerk.overdue(a, now); late != nil {
			for _, r := range late {
				l.giveBack(ctx, a, r)
			}
			continue
		}
		for _, r := range a.item.Recipients {
			load = append(load, &letter{attempt: a, recipient: r})
		}
	}
	return load
}

// stageAll writes letters into tmp, and gives those for which that worked.
func (l *local) stageAll(ctx context.Context, c *carrier, load []*letter) []*letter {
	var staged []*letter
	dirs := make(map[string]maildir.Dir) // found in this batch
	few := len(load) <= maildir.Few
	// A batch that was begun is ended: the word to stop is no failure of a mailbox.
	whole := context.WithoutCancel(ctx)
	for _, x := range load {
		var failure *result
		if err := guard(func() { failure = l.stage(whole, c, x, dirs, few) }); err != nil {
			l.events.Emit(Trouble{ID: x.attempt.item.ID, What: "delivering", Err: err})
			failure = &x.attempt.only(x.recipient).crashed()[0]
		}
		if !c.leave(l.volumes) {
			return nil
		}
		if x.account.Unix != nil && !c.home {
			if c.end(x) {
				l.users.add(ctx, x)
			}
		} else if failure == nil {
			x.attempt.connected = time.Now()
			staged = append(staged, x)
		} else if c.end(x) {
			l.giveBack(ctx, x.attempt, *failure)
		}
	}
	return staged
}

// deliverStaged takes letters that are in tmp to new: those on each device by themselves.
func (l *local) deliverStaged(ctx context.Context, c *carrier, staged []*letter) {
	device := func(x *letter) uint64 { return x.delivery.Dir.Device() }
	slices.SortStableFunc(staged, func(x, y *letter) int { return cmp.Compare(device(x), device(y)) })
	for len(staged) > 0 && !c.isAside() {
		at := device(staged[0])
		n := slices.IndexFunc(staged, func(x *letter) bool { return device(x) != at })
		if n < 0 {
			n = len(staged)
		}
		l.deliverTogether(ctx, c, at, staged[:n])
		staged = staged[n:]
	}
}

// deliverTogether takes letters on one device to new.
func (l *local) deliverTogether(ctx context.Context, c *carrier, device uint64, staged []*letter) {
	c.enter(device, staged...)
	err := maildir.SyncStaged(deliveries(staged))
	if !c.leave(l.volumes) {
		return
	}
	if err != nil {
		l.retreat(ctx, c, staged, err)
		return
	}
	if !c.end(staged...) {
		return
	}
	if _, err := l.clerk.settle(ctx, landing(staged)...); err != nil {
		return // the rows are Queued still; a restart writes the letters again
	}
	for _, x := range staged {
		c.enter(0, x)
		err := l.rename(x)
		c.leave(l.volumes)
		l.renamed(ctx, x, err)
	}
}

// stage writes one copy into tmp. What fails waits, unless the account is gone.
// One that comes with few others is synced at once.
func (l *local) stage(ctx context.Context, c *carrier, x *letter, dirs map[string]maildir.Dir, few bool) *result {
	account, failure := l.account(ctx, x.attempt, x.recipient)
	if failure != nil {
		return failure
	}
	x.account = account
	switch {
	case account.Unix != nil && !c.home:
		return nil // what is a Unix user's goes its own way
	case account.Unix == nil && !l.volumes.answers(account.Home):
		return unreachableMailbox(x.recipient)
	}
	c.enter(0, x)
	dir, found := dirs[account.Home]
	if !found {
		var err error
		if dir, err = maildir.Create(l.files(account), account.Letters()); err != nil {
			return mailboxTrouble(x.recipient, err)
		}
		dirs[account.Home] = dir
	}
	x.delivery = maildir.Delivery{Dir: dir, Name: l.name(x.attempt.item, x.recipient), Synced: few}
	var err error
	if x.size, err = l.write(ctx, x); errors.Is(err, errLoop) {
		return &result{recipient: x.recipient, kind: queue.Failed, reply: smtp.NewReply(554, "5.4.6", "mail forwarding loop"),
			text: fmt.Sprintf("mail forwarding loop for %s: the message has been delivered to this mailbox before", x.recipient.Address)}
	}
	switch {
	case errors.Is(err, queue.ErrDamaged):
		return &x.attempt.only(x.recipient).unreadable(err)[0]
	case err != nil:
		return mailboxTrouble(x.recipient, err)
	}
	return nil
}

// unreachableMailbox is for a mailbox on a file system that does not answer.
func unreachableMailbox(r queue.Recipient) *result {
	const text = "mailbox not reachable: the file system does not answer"
	return &result{recipient: r, reply: smtp.NewReply(451, "4.2.1", text), text: text}
}

func (l *local) account(ctx context.Context, a *attempt, r queue.Recipient) (directory.Account, *result) {
	owner, err := address.Parse(a.hop.Name)
	if err != nil {
		owner = r.Address
	}
	answer := l.directory.Account(ctx, owner)
	switch answer.State() {
	case lookup.Found:
		return answer.Value(), nil
	case lookup.NotFound:
		return directory.Account{}, &result{recipient: r, kind: queue.Failed,
			reply: smtp.NewReply(550, "5.1.1", "unknown user"), text: fmt.Sprintf("unknown user: %q", r.Address)}
	}
	return directory.Account{}, &result{recipient: r, reply: ours("directory look-up failed"), text: "directory look-up failed"}
}

// files are how an account's letters are reached.
func (l *local) files(a directory.Account) vfs.FS {
	if a.Unix != nil {
		return l.users.files(a)
	}
	return l.fs
}

func mailboxTrouble(r queue.Recipient, err error) *result {
	if reply := homeTrouble(err); reply != nil {
		return &result{recipient: r, reply: reply, text: reply.Text() + ": " + err.Error()}
	}
	return &result{recipient: r, reply: smtp.NewReply(451, "4.2.0", "mailbox can't be written"), text: "mailbox can't be written: " + err.Error()}
}

func (l *local) write(ctx context.Context, x *letter) (maildir.Size, error) {
	body, err := l.clerk.queue.Body(ctx, x.attempt.item)
	if err != nil {
		return maildir.Size{}, err
	}
	r, err := body.Open()
	if err != nil {
		return maildir.Size{}, err
	}
	defer r.Close()
	if loops, err := hasArrived(r, x.recipient.Address); err != nil || loops {
		return maildir.Size{}, cmp.Or(err, errLoop)
	}
	return x.delivery.Stage(strings.NewReader(prefix(x)), r)
}

// errLoop is a letter that has been delivered to this mailbox before, and was sent
// on from there until it came back (LOOP-002).
var errLoop = errors.New("mail forwarding loop")

// traceMax is how much of a message is looked at for its Delivered-To fields, in
// bytes. A loop that hides them behind more ends by its Received fields.
const traceMax = 32 << 10

// heads are the buffers of hasArrived.
var heads = sync.Pool{New: func() any { return new([traceMax]byte) }}

// hasArrived tells whether a message says by Delivered-To that it was in the mailbox
// of an address before. r is at its start afterwards.
func hasArrived(r io.ReadSeeker, at address.Address) (bool, error) {
	buf := heads.Get().(*[traceMax]byte)
	defer heads.Put(buf)
	n, err := io.ReadFull(r, buf[:])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return false, err
	}
	_, err = r.Seek(0, io.SeekStart)
	return namesMailbox(buf[:n], at), err
}

// namesMailbox looks through the header for Delivered-To with an address.
func namesMailbox(message []byte, at address.Address) bool {
	const name = "delivered-to:"
	for len(message) > 0 && message[0] != '\r' && message[0] != '\n' {
		line, rest, _ := bytes.Cut(message, []byte{'\n'})
		if len(line) > len(name) && line[0]|0x20 == 'd' && strings.EqualFold(string(line[:len(name)]), name) {
			to, err := address.Parse(strings.TrimSpace(string(line[len(name):])))
			if err == nil && to.Key() == at.Key() {
				return true
			}
		}
		message = rest
	}
	return false
}

// prefix is what final delivery adds (RFC 5321 §4.4), in Postfix's order.
func prefix(x *letter) string {
	return "Return-Path: <" + x.attempt.item.Sender.String() + ">\r\nDelivered-To: " + x.recipient.Address.String() + "\r\n"
}

func (l *local) name(it *queue.Item, r queue.Recipient) string {
	return maildir.DeliveryName(it.ID.String(), r.N, it.Arrived)
}

func deliveries(letters []*letter) []maildir.Delivery {
	out := make([]maildir.Delivery, len(letters))
	for i, x := range letters {
		out[i] = x.delivery
	}
	return out
}

// landing settles what is durable in tmp.
func landing(letters []*letter) []queue.Settlement { return settlements(letters, queue.Staged) }

func settlements(letters []*letter, r queue.Result) []queue.Settlement {
	out := make([]queue.Settlement, len(letters))
	for i, x := range letters {
		out[i] = queue.Settlement{Item: x.attempt.item.ID, Outcomes: []queue.Outcome{{N: x.recipient.N, Result: r}}}
	}
	return out
}

// retreat is for a batch that could not be made durable: nothing of it counts. Each
// letter is written again on its own, so that one Maildir's trouble is not that of
// the others.
func (l *local) retreat(ctx context.Context, c *carrier, letters []*letter, err error) {
	if len(letters) == 1 {
		if x := letters[0]; c.end(x) {
			l.giveBack(ctx, x.attempt, *mailboxTrouble(x.recipient, err))
		}
		return
	}
	for _, x := range letters {
		if c.isAside() {
			return
		}
		l.deliverStaged(ctx, c, l.stageAll(ctx, c, []*letter{x}))
	}
}

// giveBack settles one recipient that was not delivered.
func (l *local) giveBack(ctx context.Context, a *attempt, r result) {
	if err := l.clerk.conclude(ctx, a, []result{r}); err != nil {
		return // the lease stays; a restart tries again
	}
	l.done(a, 1)
}

// rename makes a letter visible in new/ of its mailbox. It may be done again: which mailbox
// that is, is asked each time.
func (l *local) rename(x *letter) error {
	x.folder, x.delivery.Into = "", maildir.Dir{}
	if x.recipient.Folder != "" && l.folder != nil {
		x.folder, x.delivery.Into = l.folder(x.account, x.recipient.Folder)
	}
	err := x.delivery.Land(x.size)
	if x.delivery.Into.Path == "" {
		x.folder = ""
	}
	return err
}

// renamed shows the letter to whoever is reading the mailbox, and tells. A letter that
// can't be renamed now is tried again until it can.
func (l *local) renamed(ctx context.Context, x *letter, err error) {
	if err != nil {
		l.events.Emit(Trouble{ID: x.attempt.item.ID, What: "moving a letter to new/", Err: err})
		if errors.Is(err, helper.ErrBroken) {
			l.laterBy(ctx, x, landAnew)
			return
		}
		l.later(ctx, x)
		return
	}
	l.notify(x.account, x.folder, x.size.Bytes)
	l.clerk.tell(x.attempt, []result{{recipient: x.recipient, kind: queue.Staged,
		relay: "virtual", text: deliveredText, folder: x.folder}}, time.Now())
	select {
	case l.landed <- x:
	case <-ctx.Done():
	}
}

// later lands a letter after a while, if its account is still there.
func (l *local) later(ctx context.Context, x *letter) { l.laterBy(ctx, x, landAgain) }

func (l *local) laterBy(ctx context.Context, x *letter, wait time.Duration) {
	time.AfterFunc(wait, func() {
		if ctx.Err() == nil {
			l.landAt(ctx, x)
		}
	})
}

// landAt lands a letter where its account is by now. It stays Landing while the
// directory does not answer: back in the queue, a letter that has landed already
// would be delivered again.
func (l *local) landAt(ctx context.Context, x *letter) {
	account, failure := l.account(ctx, x.attempt, x.recipient)
	switch {
	case failure == nil:
		x.account = account
		x.delivery.Dir = maildir.Dir{FS: l.files(account), Path: account.Letters()}
		l.landing.add(ctx, l.laneOf(x), x)
	case failure.kind == queue.Failed:
		l.giveBack(ctx, x.attempt, *failure)
	default:
		l.later(ctx, x)
	}
}

// laneOf is where a letter waits for its file system.
func (l *local) laneOf(x *letter) lane {
	if u := x.account.Unix; u != nil {
		return laneOfUser(u)
	}
	if d := x.delivery.Dir.Device(); d != 0 {
		return lane{device: d}
	}
	return lane{volume: l.volumes.of(x.account.Home)}
}

// landAll renames letters of one lane.
func (l *local) landAll(ctx context.Context, letters []*letter) {
	for _, x := range letters {
		if ctx.Err() != nil {
			return // the rows stay Landing
		}
		l.renamed(ctx, x, l.rename(x))
	}
}

// landAgain is how long a letter waits whose Maildir refuses a rename.
const landAgain = 10 * time.Second

// landAnew is how long it waits where only the user's helper has ended.
const landAnew = 200 * time.Millisecond

// finish removes the rows of letters whose renames are durable. Nobody waits for
// it, so it lets some gather.
func (l *local) finish(ctx context.Context) {
	for {
		batch := gather(ctx, l.landed, finishMax)
		if batch == nil {
			return
		}
		if len(batch) < finishMax {
			time.Sleep(finishWait)
			batch = append(batch, drain(l.landed, finishMax-len(batch))...)
		}
		for len(batch) > 0 { // most often all are in one lane
			at := l.laneOf(batch[0])
			other := slices.IndexFunc(batch, func(x *letter) bool { return l.laneOf(x) != at })
			if other < 0 {
				other = len(batch)
			}
			l.finishing.add(ctx, at, batch[:other:other]...)
			batch = batch[other:]
		}
	}
}

const (
	finishMax = 2000
	// settleMax bounds one settlement: somebody waits for a 250 behind it.
	settleMax  = 64
	finishWait = 50 * time.Millisecond
)

func drain[T any](in <-chan T, limit int) (out []T) {
	for len(out) < limit {
		select {
		case x := <-in:
			out = append(out, x)
		default:
			return out
		}
	}
	return out
}

func (l *local) remove(ctx context.Context, batch []*letter) {
	if err := maildir.SyncLanded(deliveries(batch)); err != nil {
		l.events.Emit(Trouble{What: "making deliveries durable", Err: err})
		l.removeSingly(ctx, batch, err)
		return
	}
	batch, asked := l.sortOut(batch)
	for part := range slices.Chunk(batch, settleMax) {
		if !l.settleDelivered(ctx, part, settlements(part, queue.Delivered)) {
			return
		}
	}
	for _, letters := range asked {
		if !l.report(ctx, letters) {
			return
		}
	}
}

// settleDelivered takes the rows of letters away, and gives back their places. False
// when that is not possible any more.
func (l *local) settleDelivered(ctx context.Context, letters []*letter, s []queue.Settlement) bool {
	ended, err := l.clerk.settle(ctx, s...)
	if err != nil {
		return false
	}
	for _, one := range s {
		l.clerk.tellNotices(one.Item, one.Offspring, dsn.Delivered)
	}
	l.clerk.tellEnded(ended)
	for _, x := range letters {
		l.done(x.attempt, 1)
	}
	return true
}

// sortOut parts the letters of whose arrival the sender wants to hear from the
// others, together with those of the same item. Most often there are none.
func (l *local) sortOut(batch []*letter) (plain []*letter, asked map[queue.ID][]*letter) {
	wanted := func(x *letter) bool {
		return x.recipient.Notify != 0 && l.clerk.notices.Wants(x.attempt.item, x.recipient, dsn.Delivered)
	}
	if !slices.ContainsFunc(batch, wanted) {
		return batch, nil
	}
	asked = make(map[queue.ID][]*letter)
	for _, x := range batch {
		if wanted(x) {
			asked[x.attempt.item.ID] = append(asked[x.attempt.item.ID], x)
			continue
		}
		plain = append(plain, x)
	}
	return plain, asked
}

// report ends letters of one item together with the notice of their arrival. Where
// that can't be written now, their rows stay Landing, and they are landed again.
func (l *local) report(ctx context.Context, letters []*letter) bool {
	it, now := letters[0].attempt.item, time.Now()
	told := make([]bounce.Recipient, len(letters))
	for i, x := range letters {
		r := result{recipient: x.recipient, kind: queue.Delivered, text: deliveredText}
		told[i] = r.told(dsn.Delivered, time.Time{})
	}
	var notice queue.Draft
	var err error
	if crash := guard(func() { notice, err = l.clerk.notices.Notice(context.WithoutCancel(ctx), it, told, now) }); crash != nil {
		// They are where they should be: nobody is told, and it is not tried again.
		l.events.Emit(Trouble{ID: it.ID, What: "writing a notice", Err: crash})
		return l.settleDelivered(ctx, letters, settlements(letters, queue.Delivered))
	}
	if err != nil {
		l.events.Emit(Trouble{ID: it.ID, What: "writing a notice", Err: err})
		for _, x := range letters {
			l.later(ctx, x)
		}
		return true
	}
	s := settlements(letters, queue.Delivered)
	s[0].Offspring = []queue.Draft{notice}
	return l.settleDelivered(ctx, letters, s)
}

// deliveredText is what the log and the notices say of a letter in its Maildir.
const deliveredText = "delivered to maildir"

// removeSingly keeps one Maildir's trouble from the letters in others. The row of a
// letter whose landing is not durable stays Landing, and it is landed again.
func (l *local) removeSingly(ctx context.Context, batch []*letter, err error) {
	if len(batch) == 1 {
		wait := landAgain
		if errors.Is(err, helper.ErrBroken) {
			wait = landAnew
		}
		l.laterBy(ctx, batch[0], wait)
		return
	}
	for _, x := range batch {
		l.remove(ctx, []*letter{x})
	}
}

// resume lands what a crash left between tmp and new.
func (l *local) resume(ctx context.Context, items []*queue.Item, place func(*attempt)) {
	now := time.Now()
	for _, it := range items {
		for _, r := range it.Recipients {
			if ctx.Err() != nil {
				return // the rows stay as they are
			}
			a := (&attempt{item: it, hop: hopOf(r), claimed: now, begun: now, connected: now}).only(r)
			place(a)
			l.landAt(ctx, &letter{attempt: a, recipient: r, delivery: maildir.Delivery{Name: l.name(it, r)}})
		}
	}
}
