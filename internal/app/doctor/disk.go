package doctor

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Disk is what is known of the file system of the data directory.
type Disk struct {
	Kind        string // "ext4", "tmpfs", or its number
	Free, Size  uint64 // bytes
	Inodes, All uint64 // free, and all; All is 0 where there is no such bound
	// Sync is how long it takes to make 4 KiB durable, in the middle of some tries.
	Sync time.Duration
}

const (
	// quickest is less than any disk needs to make something durable: what says so sooner
	// has it in memory. Flash with capacitors needs some 20 µs and the way through the
	// kernel.
	quickest = 10 * time.Microsecond
	// slowest is more than leaves room for a busy server: each message costs one or two.
	slowest = 200 * time.Millisecond
)

// checkDisk: there is room, and what is synced stays.
func checkDisk(_ context.Context, w *World, r *report) {
	dir := w.Config.DataDir
	r.subject = dir
	d, err := w.Disk(dir)
	if err != nil {
		r.untold("how the disk of "+dir+" is", err)
		return
	}
	if isMemory(d.Kind) {
		r.add(Failure, "%s is in memory (%s).", dir, d.Kind).because("All mail is lost when the machine stops.")
	} else if d.Sync < quickest {
		r.add(Warning, "The disk of %s says after %v that 4 KiB are durable; no disk is that fast.", dir, d.Sync).
			because("A cache lies, and mail that was accepted is lost when the power fails. Look at the settings of the virtual machine (cache=unsafe) or of the controller, and at the option nobarrier.")
	} else if d.Sync > slowest {
		r.add(Warning, "The disk of %s needs %v to make 4 KiB durable.", dir, d.Sync.Round(time.Millisecond)).because("Each message waits for it once or twice.")
	}
	checkRoom(w, dir, d, r)
	if len(r.list) == 0 {
		r.add(OK, "The disk of %s (%s) syncs in %v and has %s free.", dir, d.Kind, d.Sync.Round(time.Microsecond), bytesOf(d.Free))
	}
}

func checkRoom(w *World, dir string, d Disk, r *report) {
	least := uint64(max(w.Config.Queue.MinimumFree, 0))
	switch {
	case d.Free < least:
		r.about(dir+" room", Failure, "The disk of %s has %s free.", dir, bytesOf(d.Free)).because("New mail is told to come later while it is less than %s (queue.minimum_free).", bytesOf(least)).do("du -xh --max-depth=2 " + dir + " | sort -h | tail")
	case d.Size > 0 && d.Free < d.Size/20 && d.Free < 20<<30:
		r.about(dir+" room", Warning, "The disk of %s has %s free of %s.", dir, bytesOf(d.Free), bytesOf(d.Size)).do("du -xh --max-depth=2 " + dir + " | sort -h | tail")
	}
	if d.All > 0 && d.Inodes < d.All/20 {
		r.about(dir+" inodes", Warning, "The disk of %s has room for %d more files only.", dir, d.Inodes).because("Each letter is a file.").do("df -i " + dir)
	}
}

func isMemory(kind string) bool { return kind == "tmpfs" || kind == "ramfs" }

// bytesOf is a number of bytes for people.
func bytesOf(n uint64) string {
	const units = "KMGTPE"
	if n < 1<<10 {
		return fmt.Sprintf("%d bytes", n)
	}
	f, i := float64(n)/1024, 0
	for f >= 1024 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	return fmt.Sprintf("%.1f %ciB", f, units[i])
}

// kinds are file systems by their numbers in statfs(2).
var kinds = map[int64]string{
	0xef53: "ext4", 0x58465342: "xfs", 0x9123683e: "btrfs", 0x2fc12fc1: "zfs", 0x01021994: "tmpfs", 0x858458f6: "ramfs",
	0x794c7630: "overlayfs", 0x6969: "nfs", 0xf2f52010: "f2fs", 0x65735546: "fuse", 0xca451a4e: "bcachefs",
}

// LookAtDisk measures the disk of a directory.
func LookAtDisk(dir string) (d Disk, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return d, fmt.Errorf("%s: %w", dir, err)
	}
	d = Disk{Kind: kinds[int64(s.Type)], Free: s.Bavail * uint64(s.Bsize), Size: s.Blocks * uint64(s.Bsize), Inodes: s.Ffree, All: s.Files} //nolint:gosec,unconvert // sizes differ by platform
	if d.Kind == "" {
		d.Kind = fmt.Sprintf("%#x", s.Type)
	}
	d.Sync, err = syncTime(dir)
	return d, err
}

// syncTime makes 4 KiB durable some times, in a file that has no name.
func syncTime(dir string) (time.Duration, error) {
	f, err := os.CreateTemp(dir, ".doctor-")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if err := os.Remove(f.Name()); err != nil {
		return 0, err
	}
	const tries = 9
	times := make([]time.Duration, tries)
	block := make([]byte, 4<<10)
	for i := range times {
		if _, err := f.Write(block); err != nil {
			return 0, err
		}
		start := time.Now()
		if err := f.Sync(); err != nil {
			return 0, err
		}
		times[i] = time.Since(start)
	}
	slices.Sort(times)
	return times[tries/2], nil
}
