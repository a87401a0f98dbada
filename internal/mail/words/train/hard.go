package main

import (
	"fmt"
	"sort"

	"facteur/internal/mail/message"
)

func hard(ls []*letter, name string, score func(*letter) float64, n int) {
	xs := append([]*letter(nil), ls...)
	sort.Slice(xs, func(i, j int) bool { return score(xs[i]) > score(xs[j]) })
	k := 0
	for _, l := range xs {
		if !l.spam && k < n {
			k++
			h := message.Header(l.raw[:message.HeaderEnd(l.raw)])
			fmt.Printf("HAM  %.2f %s | %s | %.40s | %.60s\n", score(l), l.path[24:40], l.source, h.Get("From"), message.DecodeText(h.Get("Subject")))
		}
	}
	k = 0
	for i := len(xs) - 1; i >= 0; i-- {
		l := xs[i]
		if l.spam && k < n {
			k++
			h := message.Header(l.raw[:message.HeaderEnd(l.raw)])
			fmt.Printf("SPAM %.2f %s | %s | %.40s | %.60s\n", score(l), l.path[24:40], l.source, h.Get("From"), message.DecodeText(h.Get("Subject")))
		}
	}
}
