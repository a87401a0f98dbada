package namespace

import (
	"cmp"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"facteur/internal/base/vfs"
	"facteur/internal/mail/address"
)

const (
	shareFile    = "shared-mailboxes"
	maxShareFile = 64 << 20 // bytes
	everybody    = "anyone"
	// maxOwners is how many others one user sees in LIST.
	maxOwners = 1000
)

// shares is who shares with whom: the file, in memory. A line is an owner, a
// blank, and who may look up something of his: an address or "anyone".
type shares struct {
	fs      vfs.FS
	path    string
	missing bool // there was no file

	mu      sync.RWMutex
	met     map[string]bool     // owners whose files were looked at in this run
	granted map[string][]string // owner → who, sorted
	owners  map[string][]string // who → owners, sorted
}

func openShares(f vfs.FS, path string) (*shares, error) {
	s := &shares{fs: f, path: path, granted: map[string][]string{}, met: map[string]bool{}}
	data, err := vfs.ReadFile(f, path, maxShareFile)
	if s.missing = errors.Is(err, fs.ErrNotExist); err != nil && !s.missing {
		return nil, err
	}
	for line := range strings.Lines(string(data)) {
		if owner, who, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			s.granted[owner] = append(s.granted[owner], who)
		}
	}
	s.index()
	return s, nil
}

// index makes the way back from who to owners.
func (s *shares) index() {
	s.owners = map[string][]string{}
	for owner, list := range s.granted {
		for _, who := range list {
			s.owners[who] = append(s.owners[who], owner)
		}
	}
	for _, list := range s.owners {
		slices.Sort(list)
	}
}

// lets says whether an owner shares anything with somebody.
func (s *shares) lets(owner, who string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Contains(s.granted[owner], who) || slices.Contains(s.granted[owner], everybody)
}

// with is who shares anything with somebody, sorted.
func (s *shares) with(who string) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	list := slices.Concat(s.owners[who], s.owners[everybody])
	slices.Sort(list)
	list = slices.DeleteFunc(slices.Compact(list), func(owner string) bool { return owner == who })
	return list[:min(len(list), maxOwners)]
}

// any says whether an owner shares anything.
func (s *shares) any(owner string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.granted[owner]) > 0
}

// first says, once in a run, that an owner was not met before.
func (s *shares) first(owner string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := !s.met[owner]
	s.met[owner] = true
	return first
}

// set replaces what an owner shares; the file is durable when it returns.
func (s *shares) set(owner string, who []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Equal(s.granted[owner], who) {
		return nil
	}
	old := s.granted[owner]
	if s.granted[owner] = who; len(who) == 0 {
		delete(s.granted, owner)
	}
	if err := s.write(); err != nil {
		s.granted[owner] = old
		return err
	}
	s.index()
	return nil
}

// drop forgets an owner: it is as if he never came.
func (s *shares) drop(owner string) error {
	s.mu.Lock()
	delete(s.met, owner)
	s.mu.Unlock()
	return s.set(owner, nil)
}

func (s *shares) write() error {
	var lines []string
	for owner, list := range s.granted {
		for _, who := range list {
			lines = append(lines, owner+"\t"+who+"\n")
		}
	}
	slices.SortFunc(lines, cmp.Compare[string])
	return vfs.WriteFile(s.fs, s.path, []byte(strings.Join(lines, "")), 0o600)
}

// key is the form of an address in which accounts are compared.
func key(text string) string {
	if a, err := address.Parse(text); err == nil {
		return a.Key()
	}
	return text
}
