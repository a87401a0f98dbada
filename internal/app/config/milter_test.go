package config

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"facteur/internal/net/policy"
)

func TestMiltersAndPolicyServers(t *testing.T) {
	t.Parallel()
	const host = "hostname='mx.example.org'\n"
	c, err := Parse("f", []byte(host+`[[milter]]
address = "inet:localhost:8891"
[[milter]]
address = "unix:/run/clamav/milter.sock"
default_action = "quarantine"
services = ["smtp", "local"]
content_timeout = "20s"
[[policy]]
address = "inet6:[::1]:10023"
stages = ["rcpt", "end"]
default_action = "DUNNO"
when = 'account == "" && recipients < 5'
[[policy]]
address = "unix:/run/postgrey.sock"
`))
	if err == nil {
		err = errors.Join(c.Check()...)
	}
	if err != nil {
		t.Fatal(err)
	}
	var show, diff bytes.Buffer
	if err := errors.Join(c.WriteShow(&show), c.WriteDiff(&diff)); err != nil {
		t.Fatal(err)
	}
	again, err := Parse("f", show.Bytes())
	if err != nil {
		t.Fatalf("what is shown can't be read: %v\n%s", err, show.String())
	}
	var second bytes.Buffer
	if again.WriteDiff(&second); second.String() != diff.String() {
		t.Errorf("show loses something:\n%s\nbecame\n%s", diff.String(), second.String())
	}
	if m := c.Milters[0]; m.Address.Network != "tcp" || m.Address.Address != "localhost:8891" || m.Address.String() != "inet:localhost:8891" {
		t.Errorf("%+v", m)
	}
	if p := c.Policies; p[0].Address.Network != "tcp6" || p[0].DefaultAction.Action().Verb != policy.Dunno || p[1].DefaultAction.Action().Code != 451 {
		t.Errorf("%+v", p)
	}
}

func TestMiltersMistakes(t *testing.T) {
	t.Parallel()
	const host = "hostname='mx.example.org'\n"
	for in, want := range map[string]string{
		"[[milter]]":                                                    `f:2:3: milter[0].address: is missing; expected a socket such as "inet:127.0.0.1:8891", "inet6:[::1]:8891" or "unix:/run/x.sock"`,
		"[[milter]]\naddress='inet:localhost'":                          `f:3:9: milter[0].address: "inet:localhost" is not a socket such as "inet:127.0.0.1:8891", "inet6:[::1]:8891" or "unix:/run/x.sock"`,
		"[[milter]]\naddress='unix:x'":                                  `f:3:9: milter[0].address: "unix:x" has no absolute path; expected a socket such as "inet:127.0.0.1:8891", "inet6:[::1]:8891" or "unix:/run/x.sock"`,
		"[[milter]]\naddress='inet:a:1'\ndefault_action='drop'":         `f:4:16: milter[0].default_action: expected "tempfail", "accept", "reject" or "quarantine", found "drop"`,
		"[[milter]]\naddress='inet:a:1'\nservices=['imap']":             `f:4:11: milter[0].services[0]: expected "smtp", "submission", "lmtp" or "local", found "imap"`,
		"[[milter]]\naddress='inet:a:1'\ncommand_timeout='1ms'":         `f:4:17: milter[0].command_timeout: expected 1s to 1h, or nothing for the default`,
		"[[policy]]\naddress='inet:a:1'\nstages=['eod']":                `f:4:9: policy[0].stages[0]: expected "connect", "helo", "mail", "rcpt", "data" or "end", found "eod"`,
		"[[policy]]\naddress='inet:a:1'\ndefault_action='FILTER x'":     `f:4:16: policy[0].default_action: expected an action such as "451 4.3.5 Try again later" or "DUNNO": "FILTER x": action is not supported`,
		"[[policy]]\naddress='inet:a:1'\nwhen='trustd'":                 `f:4:7: policy[0].when: unknown name "trustd"; did you mean "trusted"?`,
		"[[policy]]\naddress='inet:a:1'\ntry_limit=-1":                  `f:4:11: policy[0].try_limit: expected 0 to 10, found -1`,
		"[[policy]]\naddress='inet:a:1'\ncontext=\"a\\nb\"":             `f:4:9: policy[0].context: expected printable characters`,
		"[[policy]]\naddress='inet:a:1'\ntimeout='2h'\ntry_limit='two'": `f:5:11: policy[0].try_limit: expected a whole number, found "two"`,
	} {
		c, err := Parse("f", []byte(host+in))
		if err == nil {
			err = errors.Join(c.Check()...)
		}
		if got := fmt.Sprint(err); got != want {
			t.Errorf("%q\n got %s\nwant %s", in, got, want)
		}
	}
}
