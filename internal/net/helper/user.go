package helper

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// User is a Unix user as the server knows him. He is served if passwd says the same.
type User struct {
	UID  uint32
	Name string
	Home string // an absolute path
}

// identity is whom a process is to be.
type identity struct {
	User
	gid    uint32
	groups []uint32
}

// Who may be served.
type Rules struct {
	// MinUID is the least number of a user who may be served (1000).
	MinUID uint32
	// Passwd and Group are the files of that kind (/etc/passwd, /etc/group).
	Passwd, Group string
}

func (r Rules) filled() Rules {
	if r.MinUID == 0 {
		r.MinUID = 1000
	}
	if r.Passwd == "" {
		r.Passwd = "/etc/passwd"
	}
	if r.Group == "" {
		r.Group = "/etc/group"
	}
	return r
}

// ErrIdentity: a user is not served, because of who he is, or who he is not any more.
var ErrIdentity = errors.New("user not served")

// nobodies are numbers that stand for nobody (nobody, and -1 in 16 and 32 bits).
var nobodies = map[uint32]bool{0: true, 65534: true, 65535: true, 1<<32 - 1: true}

// permit is ErrIdentity for users who are never served.
func (r Rules) permit(u User) error {
	switch {
	case nobodies[u.UID]:
		return fmt.Errorf("%w: %q has the number %d, which is nobody's mailbox", ErrIdentity, u.Name, u.UID)
	case u.UID < r.MinUID:
		return fmt.Errorf("%w: %q has the number %d, below min_uid = %d: an alias can lead his mail to a person", ErrIdentity, u.Name, u.UID, r.MinUID)
	case !filepath.IsAbs(u.Home) || filepath.Clean(u.Home) == "/":
		return fmt.Errorf("%w: %q has the home %q", ErrIdentity, u.Name, u.Home)
	}
	return nil
}

// identify looks a user up as he is now.
func (r Rules) identify(u User) (*identity, error) {
	if err := r.permit(u); err != nil {
		return nil, err
	}
	id := &identity{User: u}
	found := false
	err := eachLine(r.Passwd, 7, func(f []string) bool {
		if f[0] != u.Name {
			return true
		}
		uid, err := strconv.ParseUint(f[2], 10, 32)
		gid, gerr := strconv.ParseUint(f[3], 10, 32)
		found = err == nil && gerr == nil && uint32(uid) == u.UID && filepath.Clean(f[5]) == filepath.Clean(u.Home)
		id.gid = uint32(gid)
		return false
	})
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, fmt.Errorf("%w: %s does not say any more that %q has the number %d and the home %s", ErrIdentity, r.Passwd, u.Name, u.UID, u.Home)
	case id.gid == 0:
		return nil, fmt.Errorf("%w: %q has the group of root", ErrIdentity, u.Name)
	}
	id.groups, err = r.groupsOf(u.Name, id.gid)
	return id, err
}

// maxGroups bounds the groups of a user.
const maxGroups = 64

// groupsOf are the groups of a user, but that of root.
func (r Rules) groupsOf(name string, gid uint32) ([]uint32, error) {
	list := []uint32{gid}
	err := eachLine(r.Group, 4, func(f []string) bool {
		for _, member := range strings.Split(f[3], ",") {
			n, err := strconv.ParseUint(f[2], 10, 32)
			if member == name && err == nil && n != 0 && uint32(n) != gid {
				list = append(list, uint32(n))
			}
		}
		return len(list) < maxGroups
	})
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return list, err
}

// eachLine gives the fields of a file such as passwd until fn says false.
func eachLine(path string, fields int, fn func([]string) bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	for in.Scan() {
		if parts := strings.Split(in.Text(), ":"); len(parts) == fields && !fn(parts) {
			return nil
		}
	}
	return in.Err()
}
