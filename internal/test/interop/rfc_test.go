package interop

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"maps"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// capabilityRFCs tells in which RFCs each capability is written. What ends in = has
// a value.
var capabilityRFCs = map[string]map[string][]int{
	"IMAP": {
		"ACL": {4314}, "APPENDLIMIT": {7889}, "APPENDLIMIT=": {7889}, "BINARY": {3516}, "CATENATE": {4469}, "CHILDREN": {3348},
		"COMPRESS=DEFLATE": {4978}, "CONDSTORE": {7162}, "CONTEXT=SEARCH": {5267}, "CONTEXT=SORT": {5267},
		"CREATE-SPECIAL-USE": {6154}, "ENABLE": {5161}, "ESEARCH": {4731}, "ESORT": {5267}, "FILTERS": {5466},
		"I18NLEVEL=1": {5255}, "I18NLEVEL=2": {5255}, "ID": {2971}, "IDLE": {2177}, "IMAP4REV1": {3501}, "IMAP4REV2": {9051},
		"INPROGRESS": {9585}, "JMAPACCESS": {9698}, "LIST-EXTENDED": {5258}, "LIST-METADATA": {9590}, "LIST-MYRIGHTS": {8440},
		"LIST-STATUS": {5819}, "LITERAL+": {7888}, "LITERAL-": {7888}, "LOGINDISABLED": {3501}, "MESSAGELIMIT=": {9738}, "SAVELIMIT=": {9738},
		"METADATA": {5464}, "METADATA-SERVER": {5464}, "MOVE": {6851}, "MULTIAPPEND": {3502}, "MULTISEARCH": {7377},
		"NAMESPACE": {2342}, "NOTIFY": {5465}, "OBJECTID": {8474}, "PARTIAL": {9394}, "PREVIEW": {8970}, "QRESYNC": {7162},
		"QUOTA": {9208}, "QUOTASET": {9208}, "QUOTA=RES-STORAGE": {9208}, "QUOTA=RES-MESSAGE": {9208}, "QUOTA=RES-MAILBOX": {9208},
		"QUOTA=RES-ANNOTATION-STORAGE": {9208}, "REPLACE": {8508}, "RIGHTS=": {4314}, "SASL-IR": {4959}, "SAVEDATE": {8514},
		"SEARCH=FUZZY": {6203}, "SEARCHRES": {5182}, "SORT": {5256}, "SORT=DISPLAY": {5957}, "SPECIAL-USE": {6154},
		"STARTTLS": {3501}, "STATUS=SIZE": {8438}, "THREAD=ORDEREDSUBJECT": {5256}, "THREAD=REFERENCES": {5256}, "THREAD=REFS": nil,
		"UIDONLY": {9586}, "UIDPLUS": {4315}, "UNAUTHENTICATE": {8437}, "UNSELECT": {3691}, "URLAUTH": {4467}, "URLAUTH=BINARY": {5524},
		"UTF8=ACCEPT": {6855}, "WITHIN": {5032}, "SNIPPET=FUZZY": nil,
	},
	"POP3": {
		"AUTH-RESP-CODE": {3206}, "CAPA": {2449}, "EXPIRE": {2449}, "IMPLEMENTATION": {2449}, "LANG": {6856}, "LOGIN-DELAY": {2449}, "PIPELINING": {2449},
		"RESP-CODES": {2449}, "SASL": {5034}, "STLS": {2595}, "TOP": {1939, 2449}, "UIDL": {1939, 2449}, "USER": {1939, 2449}, "UTF8": {6856},
	},
	"SMTP": {
		"8BITMIME": {6152}, "AUTH": {4954}, "BINARYMIME": {3030}, "BURL": {4468}, "CHUNKING": {3030}, "DELIVERBY": {2852}, "DSN": {3461},
		"ENHANCEDSTATUSCODES": {2034, 3463}, "ETRN": {1985}, "FUTURERELEASE": {4865}, "LIMITS": {9422}, "MT-PRIORITY": {6710},
		"PIPELINING": {2920}, "REQUIRETLS": {8689}, "SIZE": {1870}, "SMTPUTF8": {6531}, "STARTTLS": {3207}, "HELP": {5321},
		"VRFY": {5321}, "ATRN": {2645}, "XCLIENT": nil, "XFORWARD": nil,
	},
	"SASL": {
		"PLAIN": {4616}, "LOGIN": nil, "CRAM-MD5": {2195}, "SCRAM-SHA-1": {5802}, "SCRAM-SHA-1-PLUS": {5802, 9266},
		"SCRAM-SHA-256": {7677}, "SCRAM-SHA-256-PLUS": {7677, 9266}, "EXTERNAL": {4422}, "OAUTHBEARER": {7628}, "XOAUTH2": nil,
		"GSSAPI": {4752}, "ANONYMOUS": {4505},
	},
}

// Capabilities that need not be seen although their RFC is done: another takes their
// place, or nothing in this test's settings asks for them.
var notOffered = map[string]string{
	"IMAP APPENDLIMIT": "one limit for all mailboxes is told", "IMAP LITERAL-": "LITERAL+ is more", "IMAP LOGINDISABLED": "clients of this machine may log in without TLS",
	"IMAP I18NLEVEL=2": "one collation", "POP3 EXPIRE": "letters are kept", "POP3 LOGIN-DELAY": "nobody waits",
	"IMAP SAVELIMIT=": "one limit for all commands", "IMAP METADATA-SERVER": "METADATA is more",
	"IMAP QUOTA=RES-MAILBOX": "mailboxes are not counted", "IMAP QUOTA=RES-ANNOTATION-STORAGE": "annotations are not counted",
	"SASL EXTERNAL": "no certificates of clients here", "SASL OAUTHBEARER": "no server that introspects tokens here",
	"SMTP HELP": "a command that needs no keyword", "SMTP VRFY": "a command that needs no keyword",
}

// rfc is a line of docs/rfc.txt.
type rfc struct{ state, title string }

var rfcLine = regexp.MustCompile(`^(\d{3,4}) +(yes|partly|no) +(\S.*)$`)

func readRFCs(t *testing.T) map[int]rfc {
	t.Helper()
	text, err := os.ReadFile("../../../docs/rfc.txt")
	if err != nil {
		t.Fatal(err)
	}
	list := make(map[int]rfc)
	for n, line := range strings.Split(strings.TrimRight(string(text), "\n"), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		part := rfcLine.FindStringSubmatch(line)
		if part == nil {
			t.Errorf("rfc.txt:%d: not number, yes|partly|no, title: %q", n+1, line)
			continue
		}
		number, _ := strconv.Atoi(part[1])
		if _, twice := list[number]; twice {
			t.Errorf("rfc.txt:%d: RFC %d is there twice", n+1, number)
		}
		if part[2] == "partly" && !strings.Contains(part[3], ": ") {
			t.Errorf("rfc.txt:%d: RFC %d is done partly: what is missing?", n+1, number)
		}
		list[number] = rfc{state: part[2], title: part[3]}
	}
	return list
}

// docs/rfc.txt and what the server offers say the same, in both directions.
func TestCapabilitiesAndRFCs(t *testing.T) {
	t.Parallel()
	list := readRFCs(t)
	offered := offeredByFacteur(t)
	for _, capability := range slices.Sorted(maps.Keys(offered)) {
		protocol, name, _ := strings.Cut(capability, " ")
		numbers, known := capabilityRFCs[protocol][name]
		if !known {
			t.Errorf("%s is offered, and this test does not know its RFC", capability)
		}
		for _, number := range numbers {
			if state := list[number].state; state != "yes" && state != "partly" {
				t.Errorf("%s is offered, and docs/rfc.txt says %q of RFC %d", capability, state, number)
			}
		}
	}
	for protocol, capabilities := range capabilityRFCs {
		for name, numbers := range capabilities {
			for _, number := range numbers {
				capability := protocol + " " + name
				if list[number].state == "yes" && !offered[capability] && notOffered[capability] == "" {
					t.Errorf("docs/rfc.txt says that RFC %d (%s) is done, and %s is not offered", number, list[number].title, capability)
				}
			}
		}
	}
}

// offeredByFacteur is what the doors offer to strangers, under TLS and after a log-in.
func offeredByFacteur(t *testing.T) map[string]bool {
	t.Helper()
	setup := Setup{Accounts: []string{alice}, Services: []string{"smtp", "submission", "lmtp", "imap"},
		Config: "\n[submission]\nmaximal_hold_time = \"1d\"\n\n[auth]\n" + allMechanisms +
			fmt.Sprintf("\n[mailbox]\nquota_admins = [%q]\n", alice)}
	pop3 := Serves("pop3")
	if pop3 {
		setup.Services = append(setup.Services, "pop3")
	}
	f := NewFacteur(t, setup)
	f.Start()
	offered := make(map[string]bool)
	for service, hello := range map[string]string{"smtp": "EHLO client.test", "submission": "EHLO client.test", "lmtp": "LHLO client.test"} {
		c := peek(t, f.Addr(service), "220 ")
		c.offers("SMTP", c.lines(hello, "250 "), offered)
		c.secure("STARTTLS", "220 ")
		c.offers("SMTP", c.lines(hello, "250 "), offered)
		if service == "submission" {
			c.lines("AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00"+alice+"\x00"+Password)), "235 ")
			c.offers("SMTP", c.lines(hello, "250 "), offered)
		}
	}
	c := peek(t, f.Addr("imap"), "* OK")
	c.offers("IMAP", c.lines("a CAPABILITY", "a OK"), offered)
	c.secure("b STARTTLS", "b OK")
	c.offers("IMAP", c.lines("c CAPABILITY", "c OK"), offered)
	c.lines(fmt.Sprintf("d LOGIN %s %s", alice, Password), "d OK")
	c.offers("IMAP", c.lines("e CAPABILITY", "e OK"), offered)
	if pop3 {
		c := peek(t, f.Addr("pop3"), "+OK")
		c.offers("POP3", c.lines("CAPA", "."), offered)
		c.secure("STLS", "+OK")
		c.offers("POP3", c.lines("CAPA", "."), offered)
		c.lines("USER "+alice, "+OK")
		c.lines("PASS "+Password, "+OK")
		c.offers("POP3", c.lines("CAPA", "."), offered)
	}
	return offered
}

// peekhole is a connection of which only lines are read.
type peekhole struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func peek(t *testing.T, addr, greeting string) *peekhole {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &peekhole{t, conn, bufio.NewReader(conn)}
	c.lines("", greeting)
	return c
}

// lines sends a line and reads up to one that begins so.
func (c *peekhole) lines(send, last string) (got []string) {
	c.t.Helper()
	c.conn.SetDeadline(time.Now().Add(LongWait))
	if send != "" {
		fmt.Fprintf(c.conn, "%s\r\n", send)
	}
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			c.t.Fatalf("%s: %v after %q", send, err, got)
		}
		got = append(got, strings.TrimRight(line, "\r\n"))
		if strings.HasPrefix(line, last) {
			return got
		}
	}
}

func (c *peekhole) secure(command, answer string) {
	c.t.Helper()
	c.lines(command, answer)
	c.conn = tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true})
	c.r = bufio.NewReader(c.conn)
}

// offers takes the names out of an answer.
func (c *peekhole) offers(protocol string, lines []string, offered map[string]bool) {
	if protocol == "IMAP" {
		lines = strings.Fields(strings.TrimPrefix(lines[0], "* CAPABILITY "))
	} else {
		lines = lines[1:] // the name of the server, or +OK
	}
	for _, line := range lines {
		if protocol == "SMTP" {
			line = line[min(4, len(line)):]
		}
		words := strings.Fields(strings.ToUpper(line))
		if len(words) == 0 || words[0] == "." {
			continue
		}
		name, value, _ := strings.Cut(words[0], "=")
		switch {
		case name == "AUTH" && protocol == "IMAP":
			offered["SASL "+value] = true
		case words[0] == "AUTH" || words[0] == "SASL":
			for _, mechanism := range words[1:] {
				offered["SASL "+mechanism] = true
			}
			offered[protocol+" "+words[0]] = true
		case strings.HasSuffix(name, "LIMIT") || name == "RIGHTS":
			offered[protocol+" "+name+map[bool]string{true: "="}[value != ""]] = true
		default:
			offered[protocol+" "+words[0]] = true
		}
	}
}
