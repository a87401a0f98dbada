package passwd

import (
	"strings"
	"testing"

	"facteur/internal/test/doubling"
)

// The example of Dovecot's manual, and what people make of it.
const manual = `# users
user:{plain}pass:1000:1000::/home/user::userdb_mail=maildir:~/Maildir allow_nets=192.168.0.0/24
user2@example.org:$1$abcdefgh$.pUq7D2b/morRHJWlFMKz/::::::userdb_quota_rule=*:storage=100M nologin

:not a user
user:again:1:1:::
half
bad:x:one:1:::
alice:x:4294967295:1:::
+@nis::::::
 spaced :{plain}x
`

func TestRead(t *testing.T) {
	users, problems := Read(manual)
	if len(users) != 4 {
		t.Fatalf("%+v", users)
	}
	u := users[0]
	if u.Name != "user" || u.Password != "{plain}pass" || u.UID != 1000 || u.GID != 1000 || u.Home != "/home/user" || u.Line != 2 ||
		u.Extra["userdb_mail"] != "maildir:~/Maildir" || u.Extra["allow_nets"] != "192.168.0.0/24" {
		t.Errorf("%+v", u)
	}
	u = users[1]
	if _, nologin := u.Extra["nologin"]; u.UID != -1 || u.Extra["userdb_quota_rule"] != "*:storage=100M" || !nologin {
		t.Errorf("%+v", u)
	}
	if users[2].Name != "half" || users[2].Password != "" || users[3].Name != "spaced" {
		t.Errorf("%+v", users[2:])
	}
	var at []int
	for _, p := range problems {
		at = append(at, p.Line)
	}
	if len(at) != 3 || at[0] != 6 || at[1] != 8 || at[2] != 9 {
		t.Errorf("%+v", problems)
	}
}

func TestShadow(t *testing.T) {
	users, problems := ReadShadow("root:*:19000:0:99999:7:::\nalice:$y$x:19000:0:99999:7:::\nbob:!$6$x:19000:0:99999:7:::\n" +
		"carol:$6$x:19000:0:90:7:14:19500:\nnobody::1:1:1:1:1:1:\nshort:x\nodd:x:a:::::::\n")
	if len(problems) != 2 || len(users) != 5 {
		t.Fatal(users, problems)
	}
	for name, locked := range map[string]bool{"root": true, "alice": false, "bob": true, "carol": false, "nobody": true} {
		if users[name].Locked() != locked {
			t.Error(name)
		}
	}
	for day, expired := range map[int64]bool{19000: false, 19104: false, 19105: true, 19500: true} {
		if users["carol"].Expired(day) != expired {
			t.Error(day)
		}
	}
	if users["alice"].Expired(50000) {
		t.Error("alice has no end")
	}
}

func TestQuota(t *testing.T) {
	for rule, want := range map[string][2]int64{
		"*:storage=100M": {100 << 20, 0}, "*:storage=102400": {100 << 20, 0}, "*:bytes=1000": {1000, 0},
		"*:storage=1G:messages=1000": {1 << 30, 1000}, "*:storage=0": {-1, 0}, "*:messages=5": {0, 5}, "*:storage=2TB": {2 << 40, 0},
	} {
		bytes, messages, err := Quota(rule)
		if err != nil || bytes != want[0] || messages != want[1] {
			t.Errorf("%s: %d %d %v", rule, bytes, messages, err)
		}
	}
	for _, bad := range []string{"", "*", "Trash:storage=1G", "*:storage=", "*:storage=-1", "*:storage=9999999999T", "*:storage=10%", "*:x=1"} {
		if _, _, err := Quota(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

// MAP-010: a password is in no problem.
func FuzzRead(f *testing.F) {
	f.Add(manual)
	f.Add("root:*:19000:0:99999:7:::\n")
	f.Fuzz(func(t *testing.T, text string) {
		users, problems := Read(text)
		if n := strings.Count(text, "\n") + 1; len(users)+len(problems) > n {
			t.Fatalf("%d users of %d lines", len(users)+len(problems), n)
		}
		for _, u := range users {
			Quota(u.Extra["userdb_quota_rule"]) //nolint:errcheck // it must not fail badly
		}
		ReadShadow(text)
	})
}

func TestLinear(t *testing.T) {
	doubling.Check(t, "a file of users", 1<<12, func(n int) func() {
		var b strings.Builder
		for i := range n {
			b.WriteString("user" + strings.Repeat("x", i%50) + string(rune('a'+i%26)) + ":{plain}x:1000:1000::/home/x::a=b c=d\n")
		}
		return func() { Read(b.String()) }
	})
}
