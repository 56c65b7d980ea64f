#ifndef STUB_BRPC_DESTROYABLE_H
#define STUB_BRPC_DESTROYABLE_H

namespace brpc {

class Destroyable {
public:
    virtual ~Destroyable() {}
    virtual void Destroy() = 0;
};

}  // namespace brpc

#endif
