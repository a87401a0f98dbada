package route

import (
	"fmt"
	"strings"
	"testing"

	"facteur/internal/mail/address"
)

// What following an address costs: without aliases, with a table of a hundred thousand,
// and to a list of twenty. Delivery of a letter costs some hundred microseconds.
func BenchmarkExpand(b *testing.B) {
	w := newTown(b)
	run := func(name, to string) {
		a := parse(b, to)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w.router.Expand(b.Context(), Question{Recipient: a, Sender: address.Address{Local: "x", Domain: "far.example"}})
			}
		})
	}
	run("account", "alice@example.org")
	var text strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&text, "a%d@example.org alice@example.org\n", i)
	}
	text.WriteString("list@example.org alice@example.org")
	for i := range 19 {
		fmt.Fprintf(&text, ", m%d@far.example", i)
	}
	w.rules.Virtual = w.table("hash", text.String())
	run("account-beside-aliases", "alice@example.org")
	run("alias", "a777@example.org")
	run("list-of-20", "list@example.org")
}
