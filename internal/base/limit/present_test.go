package limit

import "testing"

func TestPresent(t *testing.T) {
	var p Present[string]
	for want := 1; want <= 3; want++ {
		if got := p.Enter("a"); got != want {
			t.Errorf("%d are inside, want %d", got, want)
		}
	}
	p.Enter("b")
	for range 3 {
		p.Leave("a")
	}
	if got := p.Enter("a"); got != 1 || p.Len() != 2 {
		t.Errorf("%d of %d keys", got, p.Len())
	}
	p.Leave("a")
	p.Leave("b")
	if p.Len() != 0 {
		t.Errorf("%d keys without anybody", p.Len())
	}
}
