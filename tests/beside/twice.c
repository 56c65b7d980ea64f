/* Loads two copies of the library, as two plugins of a program would, each bound to its own:
 *
 *   twice FIRST SECOND FUNCTION
 */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv) {
    void *libraries[2];
    void *functions[2];
    if (argc != 4) {
        return 2;
    }
    for (int i = 0; i < 2; i++) {
        libraries[i] = dlopen(argv[1 + i], RTLD_NOW | RTLD_LOCAL);
        if (libraries[i] == NULL) {
            fprintf(stderr, "%s\n", dlerror());
            return 3;
        }
        functions[i] = dlsym(libraries[i], argv[3]);
        if (functions[i] == NULL) {
            return 4;
        }
    }
    printf("%s\n", functions[0] == functions[1] ? "one" : "two");
    return dlclose(libraries[0]) != 0 || dlclose(libraries[1]) != 0;
}
