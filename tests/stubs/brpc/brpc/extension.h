#ifndef STUB_BRPC_EXTENSION_H
#define STUB_BRPC_EXTENSION_H

#include <map>
#include <string>

namespace brpc {

template <typename T>
class Extension {
public:
    static Extension<T> *instance() {
        static Extension<T> only;
        return &only;
    }
    int RegisterOrDie(const std::string &name, T *what) { return map_[name] = what, 0; }
    T *Find(const char *name) { return map_[name]; }

private:
    std::map<std::string, T *> map_;
};

}  // namespace brpc

#endif
