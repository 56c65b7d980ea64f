#ifndef STUB_BUTIL_CONTAINERS_FLAT_MAP_H
#define STUB_BUTIL_CONTAINERS_FLAT_MAP_H

#include <map>
#include <utility>

namespace butil {

template <typename K, typename T>
class FlatMap {
public:
    T *insert(const K &key, const T &value) { return &(map_[key] = value); }
    T *seek(const K &key) const {
        const auto place = map_.find(key);
        return place == map_.end() ? nullptr : const_cast<T *>(&place->second);
    }
    T &operator[](const K &key) { return map_[key]; }

private:
    std::map<K, T> map_;
};

}  // namespace butil

#endif
