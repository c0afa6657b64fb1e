/* COMMAND [ARGUMENT]...: runs it, and writes to descriptor 3 how long it took, how much memory the largest of its processes held,
 * and how it ended. A program of its own because Node cannot tell, and because a child forked by Node counts Node's memory. */
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}
int main(int argc, char **argv) {
  if (argc < 2) return 2;
  double began = now();
  pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(3);
    execvp(argv[1], argv + 1);
    perror(argv[1]);
    _exit(127);
  }
  int status;
  if (child < 0 || waitpid(child, &status, 0) < 0) return 1;
  double seconds = now() - began;
  struct rusage usage;
  getrusage(RUSAGE_CHILDREN, &usage);
  dprintf(3, "{\"status\":%d,\"seconds\":%.6f,\"maxRss\":%ld}\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), seconds, usage.ru_maxrss * 1024);
  return 0;
}
