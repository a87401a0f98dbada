package transport

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"facteur/internal/base/conf"
)

// way is the right side of an entry: a transport and a next hop, either of which may
// be missing.
type way struct {
	transport *Transport // nil: the usual one
	hop       NextHop
	orders    orders
	text      string // for transports that go nowhere
	// direct: past the smarthost, to the MX hosts.
	direct bool
	why    string
}

// isNull tells the entry ":", which stands for the way without any entry.
func (w *way) isNull() bool { return w.transport == nil && w.hop.Domain == "" && w.hop.Relays == nil }

// apply is the choice that the entry makes.
func (w *way) apply(c Choice, usual *Transport) Choice {
	t := w.transport
	if t == nil {
		t = usual
	}
	c = c.through(t)
	c.Why, c.Fixed = w.why, true
	switch {
	case w.text != "":
		c.Text = w.text
	case w.hop.Relays != nil:
		c.Relays, c.Named = w.orders.of(c.mail.ID, w.hop.Relays), true
	case w.hop.Domain != "":
		c.NextHop, c.Port, c.Named, c.Relays = w.hop.Domain, w.hop.Port, true, nil
	case w.direct:
		c.Relays = nil
	case w.transport == nil:
		c.Fixed = false
	}
	return c
}

var errNoWay = errors.New(`to is missing; expected "transport:nexthop", such as "slow:" or "smtp:[gw.example.com]", or ":" for the usual way`)

// way reads "transport:nexthop", "transport:", ":nexthop", ":", or a transport alone.
func (b *builder) way(to, why string) (*way, error) {
	if to == "" {
		return nil, errNoWay
	}
	name, rest, cut := strings.Cut(to, ":")
	if strings.HasPrefix(to, "[") || !cut && strings.Contains(to, ".") {
		return nil, fmt.Errorf("%q names no transport; expected \"transport:nexthop\", such as \"smtp:%s\"", to, to)
	}
	w := &way{why: why}
	if name != "" {
		if w.transport = b.find(name); w.transport == nil {
			return nil, b.unknown(name)
		}
	}
	return w, b.lead(w, name, strings.TrimSpace(rest))
}

// lead reads the next hop in the form that the transport wants.
func (b *builder) lead(w *way, name, rest string) (err error) {
	switch kind := w.kind(); {
	case kind == Error && (rest != "" || w.transport.Text == ""):
		w.text, err = refusalText(rest, name == "retry")
	case rest == "" || kind == Discard || kind == Mailbox:
	case kind == Hold:
		w.text = rest
	case kind == Pipe:
		w.hop.Domain = rest // what it is, the program knows (Postfix's ${nexthop})
	default:
		if w.hop, err = ParseNextHop(rest); err != nil {
			return err
		}
		b.complete(w.hop.Relays, kind)
		b.remarkBare(w)
		w.orders = newOrders(w.hop.Relays)
	}
	return err
}

// remarkBare notes a next hop whose brackets may have been forgotten. The relay of that
// name is not idle: this is what keeps its password from being used.
func (b *builder) remarkBare(w *way) {
	for _, known := range b.relays[w.hop.Domain] {
		if known.User != "" && (w.hop.Port == 0 || known.Port == 0 || w.hop.Port == known.Port) {
			b.used[placeOf(known)] = true
			b.bare = append(b.bare, Bare{Where: w.why, Domain: w.hop.Domain, Port: w.hop.Port, Relay: known})
			return
		}
	}
}

func (w *way) kind() Kind {
	if w.transport == nil {
		return SMTP
	}
	return w.transport.Kind
}

// unknown says that there is no transport of a name, and which was meant.
func (b *builder) unknown(name string) error {
	err := fmt.Errorf("there is no transport %q", name)
	if near := conf.Nearest(name, slices.Sorted(maps.Keys(b.table.named))); near != "" {
		return fmt.Errorf("%w; did you mean %q?", err, near)
	}
	return err
}

// ParseRefusal makes a whole reply, "550 5.1.1 No such user", of what an admin wrote:
// a text alone, or one with an enhanced code, a reply code, or both in front.
func ParseRefusal(text string) (string, error) { return refusalText(text, false) }

func refusalText(text string, soft bool) (string, error) {
	class, code, enhanced := byte('5'), "", ""
	if soft {
		class = '4'
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", errors.New("the text has control characters in it")
	}
	first, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	if isCode(first) {
		code, class = first, first[0]
		first, rest, _ = strings.Cut(strings.TrimSpace(rest), " ")
	}
	if isEnhanced(first) {
		enhanced = first
		if code != "" && enhanced[0] != class {
			return "", fmt.Errorf("the codes %s and %s contradict each other", code, enhanced)
		}
		class = enhanced[0]
	} else {
		rest = strings.TrimSpace(first + " " + rest)
	}
	if class != '4' && class != '5' {
		return "", fmt.Errorf("expected a refusal (4.y.z or 5.y.z), found %q", text)
	}
	if code == "" {
		code = string(class) + "50"
	}
	if enhanced == "" {
		enhanced = string(class) + ".0.0"
	}
	if rest == "" {
		rest = "mail for this address is not taken"
	}
	return code + " " + enhanced + " " + rest, nil
}

func isCode(s string) bool { return len(s) == 3 && strings.Trim(s, "0123456789") == "" }

// isEnhanced tells "5.1.1" (RFC 3463 §2).
func isEnhanced(s string) bool {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || len(parts[0]) != 1 {
		return false
	}
	for _, p := range parts {
		if p == "" || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return false
		}
	}
	return true
}
