// A path between two network namespaces with delay, loss and a bottleneck, for kernels without sch_netem: one TUN
// device in each namespace, and this program between them. It carries about 2 Gbit/s.
// Usage: path NS_A DEV_A NS_B DEV_B DELAY_MS LOSS_PERCENT RATE_MBIT QUEUE_KB   (rate 0: no bottleneck)
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 1 << 15, MTU = 1600, BURST = 64 };

struct packet {
  int64_t due;
  int length;
  char bytes[MTU];
};

// What is on its way in one direction: a ring, oldest first, for all packets wait equally long.
struct lane {
  struct packet *ring;
  uint32_t head, tail;
  int64_t busy_until;
};

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

static int open_tun(const char *ns, const char *device) {
  char file[256];
  snprintf(file, sizeof file, "/var/run/netns/%s", ns);
  int space = open(file, O_RDONLY | O_CLOEXEC);
  if (space < 0 || setns(space, CLONE_NEWNET)) die(file);
  close(space);
  int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  strncpy(request.ifr_name, device, IFNAMSIZ - 1);
  if (tun < 0 || ioctl(tun, TUNSETIFF, &request)) die(device);
  return tun;
}

static double chance(void) {
  static uint64_t state = 0x9e3779b97f4a7c15ULL;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (double)(state >> 11) / 9007199254740992.0;
}

static int64_t delay, queue_ns;
static double loss, ns_per_byte;

// Takes what waits at one end; false when there is no room.
static void take(int tun, struct lane *lane) {
  for (int i = 0; i < BURST; i++) {
    struct packet spare, *packet = lane->head - lane->tail < SLOTS ? &lane->ring[lane->head % SLOTS] : &spare;
    packet->length = (int)read(tun, packet->bytes, MTU);
    if (packet->length <= 0) return;
    int64_t now = now_ns();
    if (packet == &spare || (loss > 0 && chance() < loss)) continue;
    if (lane->busy_until < now) lane->busy_until = now;
    if (ns_per_byte > 0 && lane->busy_until - now > queue_ns) continue;
    lane->busy_until += (int64_t)(packet->length * ns_per_byte);
    packet->due = lane->busy_until + delay;
    lane->head++;
  }
}

// Hands over what is due; yields when the next one is.
static int64_t give(int tun, struct lane *lane, int64_t now) {
  while (lane->tail != lane->head) {
    struct packet *packet = &lane->ring[lane->tail % SLOTS];
    if (packet->due > now) return packet->due;
    if (write(tun, packet->bytes, (size_t)packet->length) < 0) {
      // A full device drops, as a network does.
    }
    lane->tail++;
  }
  return now + 100000000;
}

int main(int count, char **words) {
  if (count != 9) {
    fprintf(stderr, "usage: path NS_A DEV_A NS_B DEV_B DELAY_MS LOSS_PERCENT RATE_MBIT QUEUE_KB\n");
    return 2;
  }
  int tun[2] = {open_tun(words[1], words[2]), open_tun(words[3], words[4])};
  delay = (int64_t)(atof(words[5]) * 1e6);
  loss = atof(words[6]) / 100;
  double mbit = atof(words[7]);
  ns_per_byte = mbit > 0 ? 8000 / mbit : 0;
  queue_ns = (int64_t)(atof(words[8]) * 1024 * ns_per_byte);
  struct lane lanes[2] = {0};
  for (int i = 0; i < 2; i++)
    if (!(lanes[i].ring = calloc(SLOTS, sizeof(struct packet)))) die("memory");
  printf("ready\n");
  fflush(stdout);
  for (;;) {
    int64_t now = now_ns(), next = now + 100000000;
    for (int i = 0; i < 2; i++) {
      int64_t due = give(tun[1 - i], &lanes[i], now);
      if (due < next) next = due;
    }
    struct pollfd ends[2] = {{tun[0], POLLIN, 0}, {tun[1], POLLIN, 0}};
    int64_t wait = next - now_ns();
    struct timespec pause = {0, wait > 0 ? wait : 0};
    if (ppoll(ends, 2, &pause, NULL) <= 0) continue;
    for (int i = 0; i < 2; i++)
      if (ends[i].revents & POLLIN) take(tun[i], &lanes[i]);
  }
}
