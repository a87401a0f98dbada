package dnslist

import "sync"

// workers is how many questions of one letter are under way at a time.
const workers = 16

// each calls fn for all, some at the same time, and waits for them.
func each(all []int, fn func(int)) {
	var busy sync.WaitGroup
	places := make(chan struct{}, workers)
	for _, i := range all {
		places <- struct{}{}
		busy.Go(func() {
			defer func() { <-places }()
			fn(i)
		})
	}
	busy.Wait()
}
