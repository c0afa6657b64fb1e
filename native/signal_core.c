/* Several copies of the addon in one process: two versions of the package in a dependency tree. Signals, masks and dispositions are the
 * process's, so one copy works for all: the one that was loaded first. It is found by the name of what it exports, among the libraries
 * that are loaded, in the order in which they were; none is ever unloaded (-z nodelete), so all copies find the same.
 *
 * The layout of struct signal_core is that of a protocol between versions: it never changes. A new one gets a new number, and whoever
 * has it still finds, and offers, the older one. */
#include "signals.h"
#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

extern const struct signal_core vecino_signal_core_1;

struct names { /* of the addons that are loaded; the loader's lock, which is held while they are listed, lets none be opened */
  char *name[256];
  size_t count;
};
static int note(struct dl_phdr_info *library, size_t size, void *data) {
  struct names *names = data;
  size_t length = library->dlpi_name == NULL ? 0 : strlen(library->dlpi_name);
  if (length < 5 || strcmp(library->dlpi_name + length - 5, ".node") != 0) return 0;
  if (names->count == sizeof names->name / sizeof *names->name) return 1;
  char *name = strdup(library->dlpi_name);
  if (name != NULL) names->name[names->count++] = name;
  return 0;
}
static const struct signal_core *core;
static void find(void) {
  struct names names = {.count = 0};
  dl_iterate_phdr(note, &names);
  for (size_t i = 0; i < names.count; i++) {
    void *library = core == NULL ? dlopen(names.name[i], RTLD_LAZY | RTLD_NOLOAD) : NULL;
    if (library != NULL) {
      core = dlsym(library, "vecino_signal_core_1");
      dlclose(library);
    }
    free(names.name[i]);
  }
  if (core == NULL) core = &vecino_signal_core_1; /* loaded under another name */
}
const struct signal_core *signal_core(void) {
  static pthread_once_t found = PTHREAD_ONCE_INIT;
  pthread_once(&found, find);
  return core;
}
