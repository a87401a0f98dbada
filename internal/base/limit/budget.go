package limit

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Level is how hard it is to serve everybody.
type Level int32

// The levels.
const (
	Calm   Level = iota // everybody gets his time
	Stress              // those inside get less time, so that others find room
	Full                // no room: newcomers are asked to come later
)

// String is the level in the log.
func (l Level) String() string { return [...]string{"calm", "stress", "full"}[l] }

// Ceilings are what the process may use. All are more than zero.
type Ceilings struct {
	Connections int   // of strangers at one time, of all services
	LoggedIn    int   // of those who have logged in
	Memory      int64 // bytes
}

// Source is what a change of level comes from.
type Source string

// The sources that are not a service.
const (
	OfConnections Source = "connections" // of all services together
	OfLoggedIn    Source = "logged in"   // connections of people who have logged in
	OfMemory      Source = "memory"
	OfFiles       Source = "files" // the system gave no file descriptor
)

// Change is told when a source becomes stressed or full, and when that is over. It
// is told once, not at each swing on the way.
type Change struct {
	Source  Source
	Service string        // when the source is a service of its own
	Level   Level         // Calm: it is over
	Limit   int64         // connections, or bytes
	Lasted  time.Duration // of what is over
}

// Why nobody more is let in.
var (
	ErrConnections = errors.New("too many connections")
	ErrLoggedIn    = errors.New("too many people are logged in")
	ErrService     = errors.New("too many connections to this service")
	ErrMemory      = errors.New("out of memory")
	ErrFiles       = errors.New("out of file descriptors")
)

// Budget is what all services share: connections, memory and file descriptors.
//
// Of the connections a tenth (100 at most) is reserved for those whom Enter is told
// to favour, so that an admin gets in during a flood; of the rest, one service takes
// three quarters at most, so that a flood at one door leaves the others open.
//
// Who logs in leaves the place of a stranger and takes one of another kind, of which
// there are many more: he may stay for days and costs little. So no flood of strangers
// takes the place of people, and people who stay leave the door free for strangers.
type Budget struct {
	tell func(Change)

	mu       sync.Mutex
	ceilings Ceilings
	rooms    map[string]*Room
	inside   int   // strangers
	people   int   // who have logged in
	all      gauge // connections
	everyone gauge // people
	memory   gauge
	files    gauge
	starved  time.Time // when descriptors were last missing
	common   atomic.Int32
}

// Room is the part of a Budget that one service has.
type Room struct {
	budget *Budget
	name   string
	inside int // strangers
	people int // who have logged in
	own    gauge
	level  atomic.Int32 // of own
}

// gauge is a level that goes up at once and down with delay.
type gauge struct {
	level, told Level
	since       time.Time
}

// NewBudget makes a budget. tell is called on changes of level, from any goroutine
// and one at a time; it must not call back. nil: nobody wants to know.
func NewBudget(c Ceilings, tell func(Change)) *Budget {
	if tell == nil {
		tell = func(Change) {}
	}
	return &Budget{ceilings: c, tell: tell, rooms: map[string]*Room{}}
}

// Configure changes the ceilings. Whoever is inside stays.
func (b *Budget) Configure(c Ceilings) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ceilings = c
	b.weigh()
}

// Room is the part of a service. It is the same for the same name.
func (b *Budget) Room(name string) *Room {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.rooms[name]
	if r == nil {
		r = &Room{budget: b, name: name}
		b.rooms[name] = r
	}
	return r
}

// Enter counts a connection in, or says why there is no room for it. favoured are
// those for whom the reserve is. Whoever was let in leaves by Leave.
func (r *Room) Enter(favoured bool) error {
	b := r.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.files.level != Calm {
		b.weigh() // it may be over
	}
	if err := r.room(favoured); err != nil {
		return err
	}
	r.inside++
	b.inside++
	b.weighConnections(r)
	return nil
}

// room says why there is none.
func (r *Room) room(favoured bool) error {
	b := r.budget
	switch {
	case b.inside >= b.ceilings.Connections:
		return ErrConnections
	case favoured:
		return nil
	case b.inside >= b.open():
		return ErrConnections
	case r.inside >= b.share():
		return ErrService
	case b.memory.level == Full:
		return ErrMemory
	case b.files.level == Full:
		return ErrFiles
	}
	return nil
}

// Leave counts a connection out that is still a stranger's.
func (r *Room) Leave() {
	b := r.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	r.inside--
	b.inside--
	b.weighConnections(r)
}

// LogIn makes a connection that was let in one of those who have logged in, or says why
// there is no room among them: it is a stranger's still. It leaves by LogOut.
func (r *Room) LogIn() error {
	b := r.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.people >= b.ceilings.LoggedIn:
		return ErrLoggedIn
	case r.people >= b.part(b.ceilings.LoggedIn):
		return ErrService
	}
	r.inside--
	b.inside--
	r.people++
	b.people++
	b.weighConnections(r)
	return nil
}

// LogOut counts a connection out that LogIn counted.
func (r *Room) LogOut() {
	b := r.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	r.people--
	b.people--
	b.weighConnections(r)
}

// Level is how hard it is for a service: the worst of its own connections and of
// what it shares. It costs nothing.
func (r *Room) Level() Level { return Level(max(r.level.Load(), r.budget.common.Load())) }

// Inside is how many connections there are, of all services.
func (b *Budget) Inside() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.inside + b.people
}

// open is how many connections there are for everybody: all but the reserve.
func (b *Budget) open() int {
	return b.ceilings.Connections - min(b.ceilings.Connections/10, 100)
}

// share is the most of them that one service may have.
func (b *Budget) share() int { return b.part(b.open()) }

// part is the most of so many places that one service may have.
func (b *Budget) part(all int) int {
	if len(b.rooms) < 2 {
		return all
	}
	return max(all*3/4, 1)
}

// starvation is how long the process counts as short of descriptors after the
// system refused one.
const starvation = 3 * time.Second

// Starve says that the system had no file descriptor or no memory for a socket.
func (b *Budget) Starve() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.starved = time.Now()
	b.weigh()
}

// Watch looks at the memory once a second until ctx ends.
func (b *Budget) Watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if level := b.look(memoryInUse()); level == Full {
				// What was let go shows only after a collection, and with nobody let in
				// the next one may be minutes away.
				runtime.GC()
				b.look(memoryInUse())
			}
		case <-ctx.Done():
			return
		}
	}
}

// look takes over how much memory is in use, and gives the level of it.
func (b *Budget) look(bytes int64) Level {
	b.mu.Lock()
	defer b.mu.Unlock()
	// Close to its limit the garbage collector does little but collect, so nine tenths
	// are as good as all.
	b.set(&b.memory, measure(b.memory.level, bytes, forGo(b.ceilings.Memory)*9/10), Change{Source: OfMemory, Limit: b.ceilings.Memory})
	b.weigh()
	return b.memory.level
}

// weigh brings all levels but that of the memory up to date.
func (b *Budget) weigh() {
	starved := Calm
	if !b.starved.IsZero() && time.Since(b.starved) < starvation {
		starved = Full
	}
	b.set(&b.files, starved, Change{Source: OfFiles})
	for _, r := range b.rooms {
		b.weighRoom(r)
	}
	b.weighAll()
}

// weighConnections is weigh after somebody came or went.
func (b *Budget) weighConnections(r *Room) {
	b.weighRoom(r)
	b.weighAll()
}

func (b *Budget) weighRoom(r *Room) {
	limit := int64(b.share())
	b.set(&r.own, measure(r.own.level, int64(r.inside), limit), Change{Source: OfConnections, Service: r.name, Limit: limit})
	r.level.Store(int32(r.own.level))
}

func (b *Budget) weighAll() {
	limit := int64(b.open())
	b.set(&b.all, measure(b.all.level, int64(b.inside), limit), Change{Source: OfConnections, Limit: limit})
	people := int64(b.ceilings.LoggedIn)
	b.set(&b.everyone, measure(b.everyone.level, int64(b.people), people), Change{Source: OfLoggedIn, Limit: people})
	b.common.Store(int32(max(b.all.level, b.memory.level, b.files.level)))
}

// measure is the level that an amount makes, from the level that was: it falls only
// well below where it rose, so that it does not flutter.
func measure(was Level, amount, limit int64) Level {
	switch {
	case amount >= limit:
		return Full
	case was == Full && amount >= limit*9/10:
		return Full
	case amount >= limit*3/4, was != Calm && amount >= limit*6/10:
		return Stress
	}
	return Calm
}

// set moves a gauge, and tells of the first stress, of the first "full" and of the
// end of both.
func (b *Budget) set(g *gauge, level Level, c Change) {
	g.level = level
	if level <= g.told && level != Calm || level == g.told {
		return
	}
	c.Level = level
	switch {
	case g.told == Calm:
		g.since = time.Now()
	case level == Calm:
		c.Lasted = time.Since(g.since)
	}
	g.told = level
	b.tell(c)
}
