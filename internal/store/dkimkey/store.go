package dkimkey

import (
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"facteur/internal/base/vfs"
	"facteur/internal/mail/dkim"
)

// Store is the keys of all domains. It is safe for concurrent use by one process.
type Store struct {
	fs  vfs.FS
	dir string

	// changing is held by one change at a time. Those who sign do not wait for it: making a
	// key takes a while, and so does the disk.
	changing sync.Mutex

	mu    sync.Mutex
	rings map[string]Ring // what was read; rings are not changed, but replaced
	turn  int             // goes up with each change of what is on the disk
}

// ringsMax is how many domains are remembered.
const ringsMax = 10_000

// New makes a Store of the keys in a directory, which need not be there yet.
func New(f vfs.FS, dir string) *Store {
	return &Store{fs: f, dir: dir, rings: map[string]Ring{}}
}

// Dir is where the keys are.
func (s *Store) Dir() string { return s.dir }

// Ring gives the keys of a domain; none is no error. Keys of which the file can't be read
// are there, with the reason in Err.
func (s *Store) Ring(domain string) (Ring, error) {
	domain, err := canonical(domain)
	if err != nil {
		return nil, err
	}
	r, turn, known := s.known(domain)
	if known {
		return r, nil
	}
	if r, err = s.read(domain); err != nil {
		return nil, fmt.Errorf("dkim: keys of %s: %w", domain, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.turn == turn { // else they may be of before a change
		s.remember(domain, r)
	}
	return r, nil
}

// known gives the keys that were read before.
func (s *Store) known(domain string) (r Ring, turn int, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, known = s.rings[domain]
	return r, s.turn, known
}

// Forget reads all keys anew when they are asked for next.
func (s *Store) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn++
	clear(s.rings)
}

// canonical is a domain as its directory is named: one that may sign.
func canonical(domain string) (string, error) {
	name, err := dkim.Domain(strings.TrimSuffix(domain, "."))
	if err != nil {
		return "", fmt.Errorf("dkim: domain %q: %w", domain, err)
	}
	return name, nil
}

// Domains lists the domains that have keys, by name.
func (s *Store) Domains() ([]string, error) {
	entries, err := s.fs.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if name, err := canonical(e.Name); err == nil && name == e.Name && e.Type == fs.ModeDir {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// remember keeps what was read, unless a key could not be: that may be mended.
func (s *Store) remember(domain string, r Ring) {
	if slices.ContainsFunc(r, func(k Key) bool { return k.Err != nil }) {
		delete(s.rings, domain)
		return
	}
	if len(s.rings) >= ringsMax {
		clear(s.rings)
	}
	s.rings[domain] = r
}

func (s *Store) read(domain string) (Ring, error) {
	text, err := vfs.ReadFile(s.fs, s.ringFile(domain), ringMax+1)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case len(text) > ringMax:
		return nil, fmt.Errorf("%s is larger than %d bytes", s.ringFile(domain), ringMax)
	}
	r, err := parseRing(domain, text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.ringFile(domain), err)
	}
	for i := range r {
		if r[i].Living() {
			if r[i].Private, r[i].Err = s.private(r[i]); r[i].Err == nil {
				r[i].Public = r[i].Private.Public()
			}
		}
	}
	return r, nil
}

func (s *Store) ringFile(domain string) string { return path.Join(s.dir, domain, "keys") }

func (s *Store) keyFile(k Key) string { return path.Join(s.dir, k.Domain, k.Selector+".pem") }

// private reads the private key of a line.
func (s *Store) private(k Key) (crypto.Signer, error) {
	text, err := vfs.ReadFile(s.fs, s.keyFile(k), ringMax)
	if err != nil {
		return nil, err
	}
	private, algorithm, err := ParsePrivate(text)
	if err == nil && algorithm != k.Algorithm {
		err = fmt.Errorf("it is a key for %s, not for %s", algorithm, k.Algorithm)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.keyFile(k), err)
	}
	return private, nil
}

// write replaces the keys of a domain: first the files of the keys that are new to it,
// then the line that names them, last it removes what no line needs.
func (s *Store) write(domain string, old, next Ring) error {
	if err := vfs.MkdirAll(s.fs, path.Join(s.dir, domain), 0o700); err != nil {
		return err
	}
	for _, k := range next {
		if was, there := old.Find(k.Selector); there && was.Living() || !k.Living() {
			continue
		}
		text, err := privatePEM(k.Private)
		if err == nil {
			err = vfs.WriteFile(s.fs, s.keyFile(k), text, 0o600)
		}
		if err != nil {
			return err
		}
	}
	s.replace(domain, nil) // whatever a failure leaves is read again
	if err := vfs.WriteFile(s.fs, s.ringFile(domain), next.text(domain), 0o600); err != nil {
		return err
	}
	err := s.clear(domain, old, next)
	s.replace(domain, next)
	return err
}

// replace is told of a change on the disk; no next is for one that is under way.
func (s *Store) replace(domain string, next Ring) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn++
	delete(s.rings, domain)
	if next != nil {
		s.remember(domain, next)
	}
}

// clear removes private keys that sign no more.
func (s *Store) clear(domain string, old, next Ring) (err error) {
	for i := range next {
		if !next[i].Living() {
			err = errors.Join(err, s.remove(s.keyFile(next[i])))
			next[i].Private, next[i].Public, next[i].Err = nil, nil, nil
		}
	}
	for _, k := range old {
		if _, kept := next.Find(k.Selector); !kept {
			err = errors.Join(err, s.remove(s.keyFile(k)))
		}
	}
	return err
}

func (s *Store) remove(name string) error {
	if err := s.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// change replaces the keys of a domain by what fn makes of them; nil changes nothing.
func (s *Store) change(domain string, fn func(Ring) (Ring, error)) (Ring, error) {
	domain, err := canonical(domain)
	if err != nil {
		return nil, err
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	old, err := s.Ring(domain)
	if err != nil {
		return nil, err
	}
	next, err := fn(old)
	if err != nil || next == nil {
		return old, err
	}
	if err := s.write(domain, old, next); err != nil {
		return old, fmt.Errorf("dkim: keys of %s: %w", domain, err)
	}
	return next, nil
}

// Plan says how new keys are made.
type Plan struct {
	// Selectors are the two of a domain that are used by turns. Those of Ed25519 keys have
	// "-ed" behind them.
	Selectors [2]string
	// Algorithms are those that a domain signs with.
	Algorithms []Algorithm
}

// Named is a selector of the plan as keys of an algorithm have it.
func (p Plan) Named(a Algorithm, selector string) string {
	if a == Ed25519 {
		return selector + "-ed"
	}
	return selector
}

// selector is the n-th of an algorithm.
func (p Plan) selector(a Algorithm, n int) string { return p.Named(a, p.Selectors[n]) }

// Ensure makes keys for a domain that lacks them, one for each algorithm of the plan. It
// tells those that it made.
func (s *Store) Ensure(domain string, p Plan, now time.Time) (made []Key, err error) {
	_, err = s.change(domain, func(r Ring) (Ring, error) {
		made = nil
		var next Ring
		for _, a := range p.Algorithms {
			if r.has(a, Made, Published, Active) {
				continue
			}
			if next == nil {
				next = slices.Clone(r)
			}
			k, err := next.add(r, domain, p, a, now)
			if err != nil {
				return nil, err
			}
			made = append(made, k)
		}
		return next, nil
	})
	if err != nil {
		made = nil
	}
	return made, err
}

// Next makes the keys that are to follow those that sign, one for each algorithm of the
// plan, and tells all that wait: those which did so before are not made again.
func (s *Store) Next(domain string, p Plan, now time.Time) ([]Key, error) {
	r, err := s.change(domain, func(r Ring) (Ring, error) {
		var next Ring
		for _, a := range p.Algorithms {
			if r.has(a, Made, Published) {
				continue
			}
			if next == nil {
				next = slices.Clone(r)
			}
			if _, err := next.add(r, domain, p, a, now); err != nil {
				return nil, err
			}
		}
		return next, nil
	})
	if err != nil {
		return nil, err
	}
	return r.Waiting(), nil
}

// add makes a key under the selector whose turn it is.
func (r *Ring) add(old Ring, domain string, p Plan, a Algorithm, now time.Time) (Key, error) {
	domain, err := canonical(domain)
	if err != nil {
		return Key{}, err
	}
	selector := ""
	for n := range p.Selectors {
		if k, taken := old.Find(p.selector(a, n)); !taken || !k.Living() {
			selector = p.selector(a, n)
			break
		}
	}
	if selector == "" {
		return Key{}, fmt.Errorf("dkim: both selectors of %s are in use, %s and %s: the record of the old key is still needed for letters on their way; wait until it is retired, or retire it now",
			domain, p.selector(a, 0), p.selector(a, 1))
	}
	private, err := generate(a)
	if err != nil {
		return Key{}, err
	}
	k := Key{Domain: domain, Selector: selector, Algorithm: a, State: Made, Since: now, Private: private, Public: private.Public()}
	return k, r.put(k)
}

// put adds a key, in the place of a retired one of its selector.
func (r *Ring) put(k Key) error {
	*r = slices.DeleteFunc(*r, func(other Key) bool { return other.Selector == k.Selector && !other.Living() })
	if _, taken := r.Find(k.Selector); taken {
		return fmt.Errorf("dkim: %s has a key with the selector %s already", k.Domain, k.Selector)
	}
	if len(*r) >= keysMax {
		return fmt.Errorf("dkim: %s has %d keys already", k.Domain, len(*r))
	}
	*r = append(*r, k)
	return nil
}

// Import takes over a key that was made elsewhere. It is believed to be published: its
// record was found by the other program's readers until now. A key that is there already
// stays as it is.
func (s *Store) Import(domain, selector string, private crypto.Signer, state State, now time.Time) (Key, error) {
	selector, err := CanonicalSelector(selector)
	if err != nil {
		return Key{}, err
	}
	if state != Made && state != Published && state != Active {
		return Key{}, fmt.Errorf("dkim: a key that is taken over can't be %q; expected made, published or active", state)
	}
	private, algorithm, err := usable(private)
	if err != nil {
		return Key{}, err
	}
	r, err := s.change(domain, func(r Ring) (Ring, error) {
		name, err := canonical(domain)
		if err != nil {
			return nil, err
		}
		k := Key{Domain: name, Selector: selector, Algorithm: algorithm, State: state, Since: now, Private: private, Public: private.Public()}
		if same, there := r.Find(selector); there && same.Living() && samePublic(same.Public, private.Public()) {
			return nil, nil
		}
		next := slices.Clone(r)
		if err := next.put(k); err != nil {
			return nil, err
		}
		if state == Active { // one of each algorithm signs; ours that waits has its turn later
			for i := range next[:len(next)-1] {
				if next[i].State == Active && next[i].Algorithm == algorithm {
					next[i].State, next[i].Since = Retiring, now
				}
			}
		}
		return next, nil
	})
	k, _ := r.Find(selector)
	return k, err
}

// Step moves the keys of a domain on: seen tells by selectors what the DNS shows of
// their records.
func (s *Store) Step(domain string, seen map[string]Sight, times Times, now time.Time) (changes []Change, err error) {
	_, err = s.change(domain, func(r Ring) (next Ring, err error) {
		if next, changes = r.step(seen, times, now); len(changes) == 0 {
			return nil, nil
		}
		return next, nil
	})
	if err != nil {
		changes = nil
	}
	return changes, err
}

// Activate lets a key sign whose record was not seen, because the admin says so.
func (s *Store) Activate(domain, selector string, now time.Time) (changes []Change, err error) {
	return s.force(domain, selector, now, func(r Ring, i int, to func(int, State)) error {
		if !r[i].Waiting() || r[i].Private == nil {
			return fmt.Errorf("dkim: %s does not wait for its record: it is %s", r[i].Name(), r[i].State)
		}
		r.relieve(i, to)
		return nil
	})
}

// Retire ends a key: one that signs does so no more, one that waits or is retiring is
// retired at once.
func (s *Store) Retire(domain, selector string, now time.Time) (changes []Change, err error) {
	return s.force(domain, selector, now, func(r Ring, i int, to func(int, State)) error {
		switch r[i].State {
		case Retired:
			return fmt.Errorf("dkim: %s is retired already", r[i].Name())
		case Active:
			to(i, Retiring)
		default:
			to(i, Retired)
		}
		return nil
	})
}

func (s *Store) force(domain, selector string, now time.Time, fn func(r Ring, i int, to func(int, State)) error) (changes []Change, err error) {
	_, err = s.change(domain, func(r Ring) (Ring, error) {
		next := slices.Clone(r)
		i := slices.IndexFunc(next, func(k Key) bool { return k.Selector == selector })
		if i < 0 {
			return nil, fmt.Errorf("dkim: %s has no key with the selector %q", domain, selector)
		}
		changes = nil
		err := fn(next, i, func(i int, s State) {
			from := next[i].State
			next[i].State, next[i].Since = s, now
			changes = append(changes, Change{Key: next[i], From: from})
		})
		return next, err
	})
	if err != nil {
		changes = nil
	}
	return changes, err
}
