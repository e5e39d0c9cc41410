// SPDX-License-Identifier: BSL-1.0
// tidepool's benchmarks - puddle, and pgxpool on top of it: the same work as ours.
//
//	pgx memory    acquire and release by one goroutine; 1,000 goroutines on 10 resources (puddle)
//	pgx threads   two goroutines on two threads and a pool of 8 (puddle)
//	pgx server    prepared SELECT 1 over a Unix socket (pgxpool); $PGHOST, $PGPORT, $PGUSER, $PGDATABASE
//
// Prints "case <TAB> metric <TAB> value"; ns are of processor time. $SECONDS_A_CASE: how long each case is measured.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v4/pgxpool"
	"github.com/jackc/puddle"
)

type nothing struct{ uses int }

var seconds = 1.0

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func made(size int) *puddle.Pool {
	pool := puddle.NewPool(func(context.Context) (interface{}, error) { return &nothing{}, nil }, func(interface{}) {}, int32(size))
	for i := 0; i < size; i++ {
		must(pool.CreateResource(context.Background()))
	}
	return pool
}

func pairs(pool *puddle.Pool, seconds float64) int {
	ctx := context.Background()
	done := 0
	for end := time.Now().Add(time.Duration(seconds * 1e9)); time.Now().Before(end); done += 1000 {
		for i := 0; i < 1000; i++ {
			held, err := pool.Acquire(ctx)
			must(err)
			held.Value().(*nothing).uses++
			held.Release()
		}
	}
	return done
}

func pair() {
	pool := made(8)
	pairs(pool, 0.3)
	begun := cpu()
	done := pairs(pool, seconds)
	fmt.Printf("pair\tns\t%.2f\n", (cpu()-begun)*1e3/float64(done))
}

func handoff(tasks, cycles int) {
	pool := made(10)
	ctx := context.Background()
	for round := 0; round < 2; round++ { // the first warms up
		var asked, served, worst int64
		var over sync.WaitGroup
		over.Add(tasks)
		begun := cpu()
		for t := 0; t < tasks; t++ {
			go func() {
				for i := 0; i < cycles/tasks; i++ {
					ticket := atomic.AddInt64(&asked, 1)
					held, err := pool.Acquire(ctx)
					must(err)
					overtaken := atomic.AddInt64(&served, 1) - ticket
					for seen := atomic.LoadInt64(&worst); overtaken > seen; seen = atomic.LoadInt64(&worst) {
						if atomic.CompareAndSwapInt64(&worst, seen, overtaken) {
							break
						}
					}
					held.Value().(*nothing).uses++
					runtime.Gosched()
					held.Release()
				}
				over.Done()
			}()
		}
		over.Wait()
		if round == 1 {
			fmt.Printf("handoff/%d\tns\t%.1f\n", tasks, (cpu()-begun)*1e3/float64(cycles))
			fmt.Printf("handoff/%d\tovertaking\t%d\n", tasks, worst)
		}
	}
}

func threads() {
	runtime.GOMAXPROCS(2)
	pool := made(8)
	for _, span := range []float64{0.29, seconds} {
		var total int64
		var over sync.WaitGroup
		over.Add(2)
		begun, used := time.Now(), cpu()
		for t := 0; t < 2; t++ {
			go func() {
				runtime.LockOSThread()
				atomic.AddInt64(&total, int64(pairs(pool, span)))
				over.Done()
			}()
		}
		over.Wait()
		if span == seconds {
			fmt.Printf("threads/2\tmpairs\t%.3f\n", float64(total)*1e3/float64(time.Since(begun).Nanoseconds()))
			fmt.Printf("threads/2\tns\t%.2f\n", (cpu()-used)*1e3/float64(total))
		}
	}
}

func cpu() float64 {
	var used syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e3
}

func server(tasks int) {
	ctx := context.Background()
	pool, err := pgxpool.Connect(ctx, "pool_max_conns=8 pool_min_conns=8")
	must(err)
	defer pool.Close()
	warm := time.Now().Add(time.Duration(seconds * 0.25e9))
	end := warm.Add(time.Duration(seconds * 1e9))
	all := make([][]float64, tasks)
	var over sync.WaitGroup
	over.Add(tasks)
	for t := 0; t < tasks; t++ {
		go func(mine *[]float64) {
			for {
				begun := time.Now()
				var one int
				must(pool.QueryRow(ctx, "select 1").Scan(&one))
				now := time.Now()
				if now.After(end) {
					break
				}
				if now.After(warm) {
					*mine = append(*mine, float64(now.Sub(begun).Nanoseconds())/1e3)
				}
			}
			over.Done()
		}(&all[t])
	}
	time.Sleep(time.Until(warm))
	used := cpu()
	time.Sleep(time.Until(end))
	used = cpu() - used
	over.Wait()
	var waits []float64
	for _, mine := range all {
		waits = append(waits, mine...)
	}
	sort.Float64s(waits)
	n := len(waits)
	fmt.Printf("select1/unix/%d\tqps\t%.0f\n", tasks, float64(n)/seconds)
	fmt.Printf("select1/unix/%d\tcpu_us\t%.3f\n", tasks, used/float64(n))
	fmt.Printf("select1/unix/%d\tp50_us\t%.1f\n", tasks, waits[n/2])
	fmt.Printf("select1/unix/%d\tp99_us\t%.1f\n", tasks, waits[n*99/100])
}

func main() {
	if said, err := strconv.ParseFloat(os.Getenv("SECONDS_A_CASE"), 64); err == nil {
		seconds = said
	}
	switch os.Args[1] {
	case "memory":
		runtime.GOMAXPROCS(1)
		pair()
		handoff(1000, 300000)
	case "threads":
		threads()
	case "server":
		for _, tasks := range []int{8, 64, 1000} {
			server(tasks)
		}
	}
}
