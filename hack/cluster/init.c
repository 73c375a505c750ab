/* PID 1 of a cluster's node, and of every pod's sandbox (the pause image).
 *
 * Without arguments it sleeps until SIGTERM or SIGINT, reaping orphans: a pause container.
 * With an argument it sleeps until its standard input ends. The keeper holds the other end of
 * that pipe, so the node dies with its keeper, even when that one is killed with SIGKILL; and
 * when PID 1 ends, the kernel ends every process of the namespace.
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void reap(int signal) {
    int saved = errno;
    (void)signal;
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
    errno = saved;
}

static void leave(int signal) {
    (void)signal;
    _exit(0);
}

static void on(int signal, void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_NOCLDSTOP};
    sigaction(signal, &action, NULL);
}

int main(int argc, char **argv) {
    char byte;
    (void)argv;
    on(SIGCHLD, reap);
    if (argc == 1) {
        on(SIGTERM, leave);
        on(SIGINT, leave);
        for (;;) {
            pause();
        }
    }
    for (;;) {
        ssize_t got = read(STDIN_FILENO, &byte, 1);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return 0;
        }
    }
}
