package intake

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"

	"facteur/internal/base/event"
	"facteur/internal/store/queue"
)

// addressTag is an address as SMTP trace fields and Postfix's log write it.
func addressTag(a netip.Addr) string {
	a = a.Unmap()
	if a.Is6() {
		return "IPv6:" + a.String()
	}
	return a.String()
}

// addressText is an address in the log; "" where a program on this machine talks
// through a socket.
func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.Unmap().String()
}

// client is name[address], as Postfix writes it, and as the door does.
func (p *Peer) client() string {
	if !p.Addr.IsValid() {
		return "localhost[unix]"
	}
	return p.Name + "[" + addressText(p.Addr) + "]"
}

// named are the recipients of an item as they were named: one for all whom an address
// leads to.
func named(it *queue.Item) (out []string) {
	for _, r := range it.Recipients {
		if text := r.Original.String(); len(out) == 0 || out[len(out)-1] != text {
			out = append(out, text)
		}
	}
	return out
}

// announce tells of a message that is ours now, in the three lines of which
// Postfix's smtpd, cleanup and qmgr each write one.
func (t *Transaction) announce(it *queue.Item) {
	t.desk.events.Emit(Accepted{Item: it, Peer: t.peer, MessageID: t.messageID})
	for _, e := range t.led {
		t.desk.events.Emit(e)
	}
	t.desk.events.Emit(queue.Cleaned{ID: it.ID, MessageID: t.messageID})
	t.desk.signer.Tell(t.id, t.signature, t.arrived)
	if t.hold == "" {
		t.desk.events.Emit(queue.Active{Item: it})
	}
}

// Accepted is a message that got its 250.
type Accepted struct {
	Item      *queue.Item
	Peer      Peer
	MessageID string
}

// Level implements event.Event.
func (Accepted) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Accepted) Record() (string, []slog.Attr) {
	to := named(e.Item)
	attrs := []slog.Attr{
		slog.String("id", e.Item.ID.String()),
		slog.String("client", addressText(e.Peer.Addr)), slog.String("client_name", e.Peer.Name),
		slog.String("helo", e.Peer.Helo), slog.String("proto", e.Peer.Protocol), slog.String("account", e.Peer.Account),
		slog.String("from", e.Item.Sender.String()), slog.String("to", strings.Join(to, ",")),
		slog.Int64("size", e.Item.Size), slog.String("message_id", e.MessageID),
	}
	if f := e.Peer.Forwarded; f != nil {
		attrs = append(attrs, slog.String("orig_client", addressText(f.Addr)), slog.String("orig_client_name", f.Name),
			slog.String("orig_id", f.Ident))
	}
	return "accepted", attrs
}

// tag is the end of a line about a message whose first server was another
// (Postfix's words).
func (f *Forwarded) tag() (s string) {
	if f.Ident != "" {
		s = ", orig_queue_id=" + f.Ident
	}
	if f.Addr.IsValid() {
		s += ", orig_client=" + cmp.Or(f.Name, "unknown") + "[" + addressText(f.Addr) + "]"
	}
	return s
}

// Line implements event.Event.
func (e Accepted) Line() (string, string) {
	if u := e.Peer.User; u != nil {
		return "postfix/pickup", fmt.Sprintf("%s: uid=%d from=<%s>", e.Item.ID, u.UID, e.Item.Sender)
	}
	s := e.Item.ID.String() + ": client=" + e.Peer.client()
	if e.Peer.Account != "" {
		s += ", sasl_method=" + e.Peer.Mechanism + ", sasl_username=" + e.Peer.Account
	}
	if f := e.Peer.Forwarded; f != nil {
		s += f.tag()
	}
	return "postfix/smtpd", s
}

// Trouble is a fault of ours that made a peer try again later.
type Trouble struct {
	Peer Peer
	ID   queue.ID // 0 when there is none yet
	What string
	Err  error
}

// Topic implements event.Topical.
func (e Trouble) Topic() event.Topic { return event.Fault(e.Err) }

// Level implements event.Event.
func (Trouble) Level() slog.Level { return slog.LevelError }

// Record implements event.Event.
func (e Trouble) Record() (string, []slog.Attr) {
	return "temporary failure", []slog.Attr{slog.String("what", e.What), slog.String("id", e.ID.String()),
		slog.String("client", addressText(e.Peer.Addr)), slog.String("error", e.Err.Error())}
}

// Line implements event.Event.
func (e Trouble) Line() (string, string) {
	return "postfix/smtpd", fmt.Sprintf("error: %s: %s: %v", e.ID, e.What, e.Err)
}

var _ = []event.Event{Accepted{}, Trouble{}}
